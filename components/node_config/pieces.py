"""The files and units of a node, the same for every renderer; pure functions."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from components.lib.systemd import environment, section
from components.node_config.machine import Machine
from components.node_config.network import networkd_units
from config import naming

# What Ubuntu's own file says; elsewhere it is empty.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/games:/usr/local/games:/snap/bin"
_WAIT_FOR_FLANNEL = (
    section("Unit", ["After=flanneld.service", "Requires=flanneld.service"])
    + "\n"
    + section("Service", ["Restart=always"])
)


@dataclass(frozen=True)
class File:
    """A file on the node."""

    path: str
    content: str
    mode: str = "0644"
    owner: str = "root:root"


@dataclass(frozen=True)
class Unit:
    """A systemd unit, or what is added to one that is there already."""

    name: str
    content: str | None = None
    enable: bool = False
    start: bool = False
    drop_ins: tuple[tuple[str, str], ...] = ()

    @property
    def of_networkd(self) -> bool:
        """Whether it is networkd's, and not for systemctl."""
        return self.name.endswith((".network", ".netdev", ".link"))

    @property
    def folder(self) -> str:
        """Where systemd looks for it."""
        return f"/etc/systemd/{'network' if self.of_networkd else 'system'}"

    def files(self) -> list[File]:
        """The unit and its drop-ins as files."""
        own = [] if self.content is None else [File(f"{self.folder}/{self.name}", self.content)]
        return [*own, *(File(f"{self.folder}/{self.name}.d/{name}", text) for name, text in self.drop_ins)]


def files(machine: Machine) -> list[File]:
    """Every file but units; the settings' own take the place of one that is written here."""
    config = machine.config
    found = [File("/etc/motd", config.motd)] if config.motd is not None else []
    if machine.of_coreos or config.proxies is not None:
        found.append(File("/etc/environment", _environment(machine)))
    if config.time_servers and machine.of_coreos:
        found.append(File("/etc/systemd/timesyncd.conf", section("Time", [f"NTP={' '.join(config.time_servers)}"])))
    if config.shell_aliases:
        functions = (f"{name} () {{\n  {command}\n}}\n" for name, command in config.shell_aliases.items())
        found.append(File("/etc/profile.d/aliases.sh", "".join(functions)))
    if machine.is_member and not machine.of_coreos:
        lines = (f'{name}="{value}"\n' for name, value in _etcd_variables(machine).items())
        found.append(File("/etc/default/etcd", "".join(lines)))
    own = [File(file.path, machine.content(file), file.permissions, file.owner) for file in config.files]
    return [*{file.path: file for file in (*found, *own)}.values()]


def _environment(machine: Machine) -> str:
    proxies = machine.config.proxies
    known = {"COREOS_PRIVATE_IPV4": machine.address} if machine.of_coreos else {}
    if machine.system == "ubuntu":
        known["PATH"] = _PATH
    if proxies is not None:
        variables = proxies.variables(tuple(dict.fromkeys([*machine.direct, *proxies.no_proxy])))
        # Programs disagree about the case.
        known |= variables | {name.lower(): value for name, value in variables.items()}
    return "".join(f"{name}={value}\n" for name, value in known.items())


def units(machine: Machine) -> list[Unit]:
    """Every unit; the settings' own come last and are added to those that are there."""
    config = machine.config
    found = [*_etcd_units(machine)]
    if fleet(machine):
        found.append(Unit("fleet.service", start=True))
    if config.ntpdate:
        found += _ntpdate(config.time_servers)
    if machine.of_coreos:
        found += [Unit(name, text) for name, text in networkd_units(config.interfaces).items()]
        if config.timezone:
            found.append(_time_zone(config.timezone))
    if config.docker.tcp is not None:
        listen = [f"ListenStream={config.docker.tcp.port}", "Service=docker.service", "BindIPv6Only=both"]
        text = "\n".join(
            [
                section("Unit", ["Description=Docker Socket for the API"]),
                section("Socket", listen),
                section("Install", ["WantedBy=sockets.target"]),
            ]
        )
        found.append(Unit("docker-tcp.socket", text, enable=True, start=True))
    drop_ins = _docker_drop_ins(machine)
    if drop_ins:
        found.append(Unit("docker.service", drop_ins=drop_ins))
    if config.flannel is not None and machine.of_coreos:
        text = section("Service", _flannel_lines(machine))
        found.append(Unit("flanneld.service", enable=True, start=True, drop_ins=(("50-network-config.conf", text),)))
    by_name = {unit.name: unit for unit in found}
    for own in config.units:
        base = by_name.get(own.name, Unit(own.name))
        by_name[own.name] = replace(
            base,
            content=base.content if own.content is None else own.content,
            enable=base.enable or own.enable,
            start=base.start or own.start,
            drop_ins=tuple({**dict(base.drop_ins), **{part.name: part.content for part in own.drop_ins}}.items()),
        )
    return [*by_name.values()]


def _time_zone(zone: str) -> Unit:
    service = [f"ExecStart=/usr/bin/timedatectl set-timezone {zone}", "RemainAfterExit=yes", "Type=oneshot"]
    text = [section("Unit", ["Description=Set the time zone"]), section("Service", service)]
    text.append(section("Install", ["WantedBy=multi-user.target"]))
    return Unit("settimezone.service", "\n".join(text), enable=True, start=True)


def _ntpdate(servers: tuple[str, ...]) -> list[Unit]:
    service = ["Type=oneshot", f"ExecStart=/usr/sbin/ntpdate {' '.join(servers)}"]
    date = [section("Unit", ["Description=Updates date and time"]), section("Service", service)]
    timer = [
        section("Unit", ["Description=Run date.service every 1 day"]),
        section("Timer", ["OnBootSec=5min", "OnCalendar=*-*-* 00:00:00"]),
        section("Install", ["WantedBy=multi-user.target"]),
    ]
    return [
        Unit("date.service", "\n".join(date)),
        Unit("date.timer", "\n".join(timer), enable=True, start=True),
    ]


def _docker_drop_ins(machine: Machine) -> tuple[tuple[str, str], ...]:
    docker, found = machine.config.docker, []
    if machine.config.proxies is not None:
        found.append(("environment.conf", section("Service", ["EnvironmentFile=/etc/environment"])))
    options = [*(f"--insecure-registry={host}" for host in docker.insecure_registries), *docker.options]
    if docker.tcp is not None and docker.tcp.tls:
        flags = zip(("--tlscacert", "--tlscert", "--tlskey"), naming.TLS_FILES, strict=True)
        options += ["--tlsverify", *(f"{flag}={naming.DOCKER_TLS}/{name}" for flag, name in flags)]
    if options:
        if machine.of_coreos:
            lines = [environment("DOCKER_OPTS", " ".join(options))]
        else:
            # Other files may set DOCKER_OPTS too, or nothing asks for it: the socket would be open without its TLS.
            start = f"dockerd -H fd:// --containerd=/run/containerd/containerd.sock {' '.join(options)} $DOCKER_OPTS"
            lines = ["ExecStart=", f"ExecStart={start}"]
        name = "50-insecure-registry.conf" if docker.insecure_registries else "50-options.conf"
        found.append((name, section("Service", lines)))
    if machine.config.flannel is not None and machine.system == "coreos":
        # Not on Flatcar, where etcd and flanneld run in Docker themselves and both would wait for ever.
        found.append(("60-docker-wait-for-flannel-config.conf", _WAIT_FOR_FLANNEL))
    return tuple(found)


def etcd(machine: Machine) -> dict[str, str]:
    """etcd's options by name; empty where none runs."""
    settings = machine.config.etcd
    if settings is None or not machine.is_member:
        return {}
    scheme, here = "https" if settings.tls else "http", machine.address
    legacy = machine.config.etcd_version == 2
    clients, peers = ([2379, 4001], [2380, 7001]) if legacy else ([2379], [2380])

    def urls(hosts: tuple[str, ...], ports: list[int]) -> str:
        return ",".join(f"{scheme}://{host}:{port}" for port in ports for host in hosts)

    found = {
        "name": machine.name,
        "advertise-client-urls": urls((here,), clients),
        "initial-advertise-peer-urls": urls((here,), peers[:1]),
        "listen-client-urls": urls((here, "127.0.0.1"), clients),
        "listen-peer-urls": urls((here,), peers),
    }
    if settings.discovery is not None:
        found["discovery"] = settings.discovery
        if settings.discovery_proxy is not None:
            found["discovery-proxy"] = settings.discovery_proxy
    else:
        members = machine.members.items()
        found["initial-cluster"] = ",".join(f"{name}={scheme}://{address}:2380" for name, address in members)
        found["initial-cluster-state"] = "new"
        found["initial-cluster-token"] = settings.token
    if settings.tls:
        # The unit of etcd 3 is a container, which sees the directory under another name.
        folder = "/etc/ssl/certs" if machine.of_coreos and not legacy else naming.ETCD_TLS
        for prefix in ("", "peer-"):
            for option, name in zip(("trusted-ca-file", "cert-file", "key-file"), naming.TLS_FILES, strict=True):
                found[f"{prefix}{option}"] = f"{folder}/{name}"
            found[f"{prefix}client-cert-auth"] = "true"
    return found


def _etcd_variables(machine: Machine) -> dict[str, str]:
    found = {f"ETCD_{name.upper().replace('-', '_')}": value for name, value in etcd(machine).items()}
    if machine.config.flannel is not None and machine.of_coreos:
        # flannel of that time reads the first version of etcd's data.
        found["ETCD_ENABLE_V2"] = "true"
    return found


def _etcd_units(machine: Machine) -> list[Unit]:
    if not machine.is_member or not machine.of_coreos:
        return []
    if machine.config.etcd_version == 2:
        # The first start waits for the other members, however long they take.
        text = section("Service", ["TimeoutStartSec=0"])
        return [Unit("etcd2.service", start=True, drop_ins=(("timeout.conf", text),))]
    lines = [environment(name, value) for name, value in _etcd_variables(machine).items()]
    if machine.config.etcd is not None and machine.config.etcd.tls:
        lines.insert(0, environment("ETCD_SSL_DIR", naming.ETCD_TLS))
    text = section("Service", lines)
    return [Unit("etcd-member.service", enable=True, start=True, drop_ins=(("20-etcd-member.conf", text),))]


def etcd_access(machine: Machine) -> dict[str, str]:
    """How a client on this node gets to etcd, in flannel's and fleet's words; empty where the defaults do."""
    settings = machine.config.etcd
    if settings is None or (machine.is_member and not settings.tls):
        return {}
    scheme = "https" if settings.tls else "http"
    hosts = [machine.address] if machine.is_member else machine.members.values()
    found = {"endpoints": ",".join(f"{scheme}://{host}:2379" for host in hosts)}
    if settings.tls:
        names = zip(("cafile", "certfile", "keyfile"), naming.TLS_FILES, strict=True)
        found |= {option: f"{naming.ETCD_TLS}/{name}" for option, name in names}
    return found


def fleet(machine: Machine) -> dict[str, str]:
    """fleet's options; empty where there is none."""
    if machine.config.fleet is None or not machine.config.has_fleet:
        return {}
    metadata = {**machine.config.fleet.metadata, "public_ip": machine.address}
    access = {f"etcd-{name}": value for name, value in etcd_access(machine).items()}
    if access:
        access["etcd-servers"] = access.pop("etcd-endpoints")
    return {"public-ip": machine.address, "metadata": ",".join(f"{k}={v}" for k, v in metadata.items()), **access}


def flannel(machine: Machine) -> dict[str, str]:
    """flanneld's options; empty where there is none."""
    if machine.config.flannel is None or not machine.of_coreos:
        return {}
    access = {f"etcd-{name}": value for name, value in etcd_access(machine).items()}
    return {"interface": machine.address, **access}


def _flannel_lines(machine: Machine) -> list[str]:
    assert machine.config.flannel is not None
    backend: dict[str, str | int] = {"Type": "vxlan"}
    mtu = _mtu(machine)
    if mtu is not None:
        # Of the packets on the wire: flannel leaves room for its own 50 bytes, and tells Docker.
        backend["MTU"] = mtu
    network = json.dumps({"Network": machine.config.flannel.network, "Backend": backend})
    access = etcd_access(machine)
    words = {"endpoints": "endpoints", "cafile": "ca-file", "certfile": "cert-file", "keyfile": "key-file"}
    options = "".join(f"--{words[name]}={value} " for name, value in access.items())
    lines = [
        environment("ETCDCTL_API", "2"),
        f"ExecStartPre=/usr/bin/etcdctl {options}set /coreos.com/network/config '{network}'",
    ]
    if machine.system == "coreos":
        return lines  # its cloud-config has a section for the options
    names = {"interface": "IFACE"}
    options_lines = [
        environment(f"FLANNELD_{names.get(name, name.upper().replace('-', '_'))}", value)
        for name, value in flannel(machine).items()
    ]
    return [*options_lines, *lines]


def _mtu(machine: Machine) -> int | None:
    """The MTU of the interface that has the node's address, where the settings say it."""
    links = [link for interface in machine.config.interfaces for link in (interface, *interface.vlans)]
    own = (link for link in links if any(a.partition("/")[0] == machine.address for a in link.addresses))
    return next((link.mtu for link in own), None)


def notes(machine: Machine) -> list[str]:
    """What a person should know of a node's configuration: what was left out, and what it opens."""
    config, found = machine.config, []
    if config.fleet is not None and not fleet(machine):
        found.append("fleet is left out: only CoreOS before 1675 has it (operatingSystem, release).")
    if config.flannel is not None and not machine.of_coreos:
        found.append(f"flannel is left out: {machine.system} has no package of it.")
    if config.flannel is not None and machine.system == "flatcar":
        found.append(
            "Docker does not wait for flanneld, which runs in Docker on Flatcar: restart Docker once it is up."
        )
    if config.docker.tcp is not None and not config.docker.tcp.tls:
        found.append(f"Docker's port {config.docker.tcp.port} has no TLS: whoever reaches it is root on the node.")
    if machine.is_member and config.etcd is not None and not config.etcd.tls:
        found.append("etcd has no TLS: whoever reaches its ports reads and writes everything in it.")
    if config.docker.insecure_registries:
        found.append(
            "dockerd refuses to start with insecure registries in its unit and in the daemon.json of `berth up`: "
            "use berth:docker.insecureRegistries for daemons that Berth configures."
        )
    return found
