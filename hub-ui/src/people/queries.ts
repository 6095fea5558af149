import { answered, hub } from "@/api/client";
import type { Account, ApiToken, MadeApiToken, NewApiToken, OpenSession, Role } from "@/api/types";
import { queryClient } from "@/app/query-client";
import { loadedQuery } from "@/live/query";

/** All who have an account, by name. */
export const usersQuery = loadedQuery<Account[]>(["users"], (signal) =>
  answered(hub.GET("/api/v1/users", { signal })),
);

/** Those that the caller may see: one's own, or everybody's. */
export const apiTokensQuery = loadedQuery<ApiToken[]>(["api-tokens"], (signal) =>
  answered(hub.GET("/api/v1/tokens", { signal })),
);

/** Where whoever is signed in is so. */
export const sessionsQuery = loadedQuery<OpenSession[]>(["sessions"], (signal) =>
  answered(hub.GET("/api/v1/auth/sessions", { signal })),
);

export async function addUser(body: { username: string; role: Role; password: string }): Promise<void> {
  await hub.POST("/api/v1/users", { body });
  await reload("users");
}

export async function changeUser(username: string, body: { role?: Role; disabled?: boolean }): Promise<void> {
  await hub.PATCH("/api/v1/users/{username}", { params: { path: { username } }, body });
  await reload("users");
}

export async function resetPassword(username: string, password: string): Promise<void> {
  await hub.POST("/api/v1/users/{username}/password", { params: { path: { username } }, body: { password } });
}

export async function removeUser(username: string): Promise<void> {
  await hub.DELETE("/api/v1/users/{username}", { params: { path: { username } } });
  await reload("users");
}

export async function makeApiToken(body: NewApiToken): Promise<MadeApiToken> {
  const made = await answered(hub.POST("/api/v1/tokens", { body: body as Required<NewApiToken> }));
  await reload("api-tokens");
  return made;
}

export async function revokeApiToken(id: string): Promise<void> {
  await hub.DELETE("/api/v1/tokens/{token_id}", { params: { path: { token_id: id } } });
  await reload("api-tokens");
}

export async function endSession(id: string): Promise<void> {
  await hub.DELETE("/api/v1/auth/sessions/{session_id}", { params: { path: { session_id: id } } });
  await reload("sessions");
}

function reload(key: string): Promise<void> {
  return queryClient.invalidateQueries({ queryKey: [key] });
}
