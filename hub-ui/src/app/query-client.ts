import { QueryClient } from "@tanstack/react-query";
import { asProblem } from "@/api/problem";

const ATTEMPTS = 3;

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: { retry: (failures, error) => failures < ATTEMPTS - 1 && asProblem(error).transient },
  },
});
