"""A network that only the machines are in: a bridge in a namespace of its own, where the host has address 1."""

from booted.shell import run


class Network:
    """Use it as a context manager; its machines must be gone before it ends."""

    def __init__(self, name: str = "flip-test", prefix: str = "10.88.0") -> None:
        self.namespace = name
        self._prefix = prefix

    def __enter__(self) -> "Network":
        run("ip", "netns", "del", self.namespace, check=False)  # of a test run that was killed
        run("ip", "netns", "add", self.namespace)
        self.inside("ip", "link", "set", "lo", "up")
        self.inside("ip", "link", "add", "br0", "type", "bridge")
        self.inside("ip", "addr", "add", f"{self.host}/24", "dev", "br0")
        self.inside("ip", "link", "set", "br0", "up")
        return self

    def __exit__(self, *_: object) -> None:
        run("ip", "netns", "del", self.namespace)

    @property
    def host(self) -> str:
        return self.address(1)

    def address(self, number: int) -> str:
        return f"{self._prefix}.{number}"

    def inside(self, *command: str, check: bool = True) -> str:
        """Runs a program of the host in this network."""
        return run("ip", "netns", "exec", self.namespace, *command, check=check).stdout


class Link:
    """Of one machine; what happens to it is bad weather."""

    def __init__(self, network: Network, number: int) -> None:
        self._network = network
        self._number = number
        self.namespace = f"{network.namespace}-{number}"
        self._port = f"v{number}"
        """On the bridge."""

    def plug_in(self) -> None:
        network, mine, address = self._network, self.namespace, self._network.address(self._number)
        run("ip", "netns", "del", mine, check=False)
        run("ip", "netns", "add", mine)
        run(
            "ip",
            "link",
            "add",
            self._port,
            "netns",
            network.namespace,
            "type",
            "veth",
            "peer",
            "name",
            "host0",
            "netns",
            mine,
        )
        network.inside("ip", "link", "set", self._port, "master", "br0")
        network.inside("ip", "link", "set", self._port, "up")
        for command in (
            ("addr", "add", f"{address}/24", "dev", "host0"),
            ("link", "set", "host0", "up"),
            ("link", "set", "lo", "up"),
            ("route", "add", "default", "via", network.host),
        ):
            run("ip", "-n", mine, *command)

    def unplug(self) -> None:
        run("ip", "netns", "del", self.namespace, check=False)

    def cut(self) -> None:
        self._network.inside("ip", "link", "set", self._port, "down")

    def lose(self, percent: int) -> None:
        """Of what comes in. nftables does it, since many kernels come without netem."""
        verdict = "drop" if percent >= 100 else f"numgen random mod 100 < {percent} drop"
        chain = f'chain in {{ type filter hook ingress device "host0" priority 0; {verdict}; }}'
        rules = f"table netdev weather\ndelete table netdev weather\ntable netdev weather {{ {chain} }}\n"
        run("ip", "netns", "exec", self.namespace, "nft", "-f", "-", given=rules)

    def throttle(self, rate: str) -> None:
        """In both directions, for example `64kbit`."""
        limit = ("root", "tbf", "rate", rate, "burst", "16kb", "latency", "400ms")
        self._network.inside("tc", "qdisc", "replace", "dev", self._port, *limit)
        run("ip", "netns", "exec", self.namespace, "tc", "qdisc", "replace", "dev", "host0", *limit)

    def heal(self) -> None:
        self._network.inside("ip", "link", "set", self._port, "up")
        self._network.inside("tc", "qdisc", "del", "dev", self._port, "root", check=False)
        run("ip", "netns", "exec", self.namespace, "tc", "qdisc", "del", "dev", "host0", "root", check=False)
        run("ip", "netns", "exec", self.namespace, "nft", "delete", "table", "netdev", "weather", check=False)
