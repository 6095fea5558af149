"""Logged-in people for tests: an account of each role, and its bearer."""

from flip_hub.auth.permissions import Role
from flip_hub.auth.service import Client
from flip_hub.people import People
from flip_hub.users.store import new_user


async def log_in_each_role(people: People) -> dict[Role, str]:
    """Users named as their roles, without passwords; access tokens."""
    return {role: await log_in(people, role.value, role) for role in Role}


async def log_in(people: People, username: str, role: Role) -> str:
    """Makes the account, where there is none."""
    user = await people.users.get(username)
    if user is None:
        user = new_user(username, "", role)
        await people.users.add(user)
    return (await people.auth.begin(user, Client("127.0.0.1", "tests"))).token
