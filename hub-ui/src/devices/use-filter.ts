import { useNavigate, useSearch } from "@tanstack/react-router";
import type { DeviceFilter } from "./filter";

export function useDeviceFilter(): [DeviceFilter, (filter: DeviceFilter) => void] {
  const filter = useSearch({ from: "/signed-in/devices" });
  const navigate = useNavigate({ from: "/devices" });
  return [filter, (next) => void navigate({ search: next, replace: true, resetScroll: false })];
}
