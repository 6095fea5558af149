import { Link } from "@tanstack/react-router";
import { useDeviceNames } from "./fleet";

/** To a device's page, by its name. */
export function DeviceLink({ id }: { id: string }) {
  const name = useDeviceNames();
  return (
    <Link to="/devices/$id" params={{ id }} className="break-words font-medium text-accent hover:underline">
      {name(id)}
    </Link>
  );
}
