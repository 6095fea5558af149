"""Everything about people, put together: accounts, logins, tokens for programs, and who may do what."""

from litestar.types import ControllerRouterHandler
from msgspec import Struct

from flip_hub.api_tokens.routes import ApiTokenController
from flip_hub.api_tokens.service import ApiTokenService
from flip_hub.api_tokens.store import ApiTokenStore
from flip_hub.audit.service import Audit
from flip_hub.auth.callers import Callers
from flip_hub.auth.first_admin import FirstAdmin
from flip_hub.auth.lockout import Lockout
from flip_hub.auth.oidc import OidcLogin
from flip_hub.auth.oidc_provider import OidcProvider
from flip_hub.auth.oidc_routes import CALLBACK, OidcController
from flip_hub.auth.passwords import Passwords
from flip_hub.auth.routes import AuthController
from flip_hub.auth.service import AuthService
from flip_hub.auth.sessions import Sessions
from flip_hub.auth.setup_code import SetupCode
from flip_hub.auth.store import SessionStore
from flip_hub.auth.terminal_login import TerminalLogins
from flip_hub.auth.terminal_routes import TerminalLoginController
from flip_hub.auth.tokens import Tokens
from flip_hub.cluster.shared import Shared
from flip_hub.mongo import Database
from flip_hub.settings import Settings
from flip_hub.users.routes import UserController
from flip_hub.users.service import UserService
from flip_hub.users.store import UserStore

PEOPLE_ROUTES: list[ControllerRouterHandler] = [
    AuthController,
    UserController,
    ApiTokenController,
    TerminalLoginController,
    OidcController,
]


class People(Struct, frozen=True, kw_only=True):
    callers: Callers
    auth: AuthService
    users: UserStore
    first_admin: FirstAdmin
    lockout: Lockout
    terminal_logins: TerminalLogins
    services: dict[str, object]
    """By the name under which handlers ask for them."""


def build_people(settings: Settings, database: Database, shared: Shared, tokens: Tokens, audit: Audit) -> People:
    users, api_token_store = UserStore(database), ApiTokenStore(database)
    kept = shared.volatile if settings.redis.url else SessionStore(database)
    sessions = Sessions(kept, settings.auth)
    passwords, lockout = Passwords(), Lockout(shared.volatile)
    auth = AuthService(users, sessions, tokens, passwords, lockout, shared.bus, audit)
    accounts = UserService(users, api_token_store, passwords, shared.bus)
    provider = OidcProvider(settings.oidc, settings.hub.public_url + CALLBACK)
    api_tokens = ApiTokenService(api_token_store, users, shared.bus)
    first_admin = FirstAdmin(users, auth, passwords, lockout, SetupCode(settings.hub.state))
    terminal_logins = TerminalLogins(shared.volatile)
    return People(
        callers=Callers(tokens, sessions, users, api_tokens, shared.bus),
        auth=auth,
        users=users,
        first_admin=first_admin,
        lockout=lockout,
        terminal_logins=terminal_logins,
        services={
            "terminal_logins": terminal_logins,
            "auth": auth,
            "first_admin": first_admin,
            "api_tokens": api_tokens,
            "users": accounts,
            "oidc": OidcLogin(settings.oidc, provider, shared.volatile, users, accounts, auth, audit),
        },
    )
