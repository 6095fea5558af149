"""The hub's API about people from Python: one's own sessions and tokens, and everybody's accounts."""

from flip_hub.api_tokens.schemas import ApiToken, MadeApiToken, NewApiToken
from flip_hub.auth.schemas import Ended, Me, OpenSession, Refresh
from flip_hub.auth.terminal_login import TerminalLogin
from flip_hub.hub_calls import HubCalls, part
from flip_hub.users.schemas import Account, AccountChange, NewAccount, PasswordReset


class PeopleApi(HubCalls):
    """What there is to call; how, and as whom, says `HubCalls`."""

    def me(self) -> Me:
        return self._get("/api/v1/auth/me", Me)

    def logout(self, refresh_token: str) -> Ended:
        return self._post("/api/v1/auth/logout", Ended, Refresh(refresh_token=refresh_token))

    def logout_everywhere(self) -> Ended:
        return self._post("/api/v1/auth/logout-everywhere", Ended)

    def sessions(self) -> list[OpenSession]:
        """Newest first."""
        return self._get("/api/v1/auth/sessions", list[OpenSession])

    def end_session(self, session_id: str) -> Ended:
        return self._delete(f"/api/v1/auth/sessions/{part(session_id)}", Ended)

    def decide_terminal_login(self, code: str, *, confirmed: bool) -> TerminalLogin:
        decision = "confirm" if confirmed else "refuse"
        return self._post(f"/api/v1/auth/terminal-logins/{part(code)}/{decision}", TerminalLogin)

    def users(self) -> list[Account]:
        """By name."""
        return self._get("/api/v1/users", list[Account])

    def add_user(self, account: NewAccount) -> Account:
        return self._post("/api/v1/users", Account, account)

    def change_user(self, username: str, change: AccountChange) -> Account:
        return self._decoded(self._send("PATCH", f"/api/v1/users/{part(username)}", change), Account)

    def reset_password(self, username: str, password: str) -> Account:
        reset = PasswordReset(password=password)
        return self._post(f"/api/v1/users/{part(username)}/password", Account, reset)

    def remove_user(self, username: str) -> Account:
        return self._delete(f"/api/v1/users/{part(username)}", Account)

    def tokens(self) -> list[ApiToken]:
        """Newest first."""
        return self._get("/api/v1/tokens", list[ApiToken])

    def make_token(self, wanted: NewApiToken) -> MadeApiToken:
        return self._post("/api/v1/tokens", MadeApiToken, wanted)

    def revoke_token(self, token_id: str) -> ApiToken:
        return self._delete(f"/api/v1/tokens/{part(token_id)}", ApiToken)
