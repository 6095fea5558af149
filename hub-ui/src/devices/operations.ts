/** What can be asked of devices, one or many. */
import { answered, hub, sparse } from "@/api/client";
import type { ActionRequest, Device, DeviceAction } from "@/api/types";

export function revoke(id: string): Promise<Device> {
  return answered(hub.POST("/api/v1/devices/{device}/revoke", { params: { path: { device: id } } }));
}

export function ask(id: string, body: ActionRequest): Promise<DeviceAction> {
  return answered(
    hub.POST("/api/v1/devices/{device}/actions", { params: { path: { device: id } }, body: sparse(body) }),
  );
}

export interface Labels {
  site?: string;
  tags?: string[];
  groups?: string[];
  note?: string;
}

export function label(id: string, body: Labels): Promise<Device> {
  return answered(hub.PATCH("/api/v1/devices/{device}", { params: { path: { device: id } }, body }));
}

export function clearClone(id: string): Promise<Device> {
  return answered(hub.DELETE("/api/v1/devices/{device}/clone", { params: { path: { device: id } } }));
}
