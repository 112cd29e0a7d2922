"""Interfaces and VLANs, as networkd's units and as cloud-init's network configuration; pure functions."""

from __future__ import annotations

from typing import Any

from components.lib.systemd import section
from config.model.node_os import InterfaceSettings, Link


def networkd_units(interfaces: tuple[InterfaceSettings, ...]) -> dict[str, str]:
    """Text by name of unit: parents first, each VLAN as the device and as the network on it."""
    devices: dict[str, str] = {}
    networks: dict[str, str] = {}
    for index, interface in enumerate(interfaces):
        match = [f"Name={interface.name}"] if interface.name else []
        if interface.mac:
            # A VLAN has its parent's MAC address, and is no `ether`.
            match += [f"MACAddress={interface.mac}", "Type=ether"]
        vlans = [f"VLAN={vlan.link_name}" for vlan in interface.vlans]
        devices[f"00-{interface.name or f'lan{index}'}.network"] = section("Match", match) + _network(interface, vlans)
        for vlan in interface.vlans:
            netdev = section("NetDev", [f"Name={vlan.link_name}", "Kind=vlan"]) + "\n"
            devices[f"00-{vlan.link_name}.netdev"] = netdev + section("VLAN", [f"Id={vlan.id}"])
            named = section("Match", [f"Name={vlan.link_name}"])
            networks[f"11-{vlan.link_name}.network"] = named + _network(vlan, [])
    return {**devices, **networks}


def _network(link: Link, lines: list[str]) -> str:
    lines = [
        *lines,
        *(["DHCP=ipv4"] if link.dhcp else []),
        *(f"Address={address}" for address in link.addresses),
        *([f"Gateway={link.gateway}"] if link.gateway else []),
        *(f"DNS={server}" for server in link.dns),
        *([f"Domains={' '.join(link.search_domains)}"] if link.search_domains else []),
    ]
    mtu = "\n" + section("Link", [f"MTUBytes={link.mtu}"]) if link.mtu else ""
    return "\n" + section("Network", lines) + mtu


def network_config(interfaces: tuple[InterfaceSettings, ...]) -> dict[str, Any]:
    """The same in cloud-init's version 2; without interfaces the system does as it does by itself."""
    ethernets: dict[str, Any] = {}
    vlans: dict[str, Any] = {}
    for index, interface in enumerate(interfaces):
        name = interface.name or f"lan{index}"
        match = {"match": {"macaddress": interface.mac}, "set-name": name} if interface.mac else {}
        ethernets[name] = {**match, **_version_2(interface)}
        for vlan in interface.vlans:
            vlans[vlan.link_name] = {"id": vlan.id, "link": name, **_version_2(vlan)}
    return {"version": 2, "ethernets": ethernets, **({"vlans": vlans} if vlans else {})}


def _version_2(link: Link) -> dict[str, Any]:
    servers = {"addresses": [*link.dns], "search": [*link.search_domains]}
    found: dict[str, Any] = {
        "dhcp4": link.dhcp,
        "addresses": [*link.addresses],
        "routes": [{"to": "0.0.0.0/0", "via": link.gateway}] if link.gateway else [],
        "nameservers": {key: value for key, value in servers.items() if value},
        "mtu": link.mtu,
    }
    return {key: value for key, value in found.items() if value or key == "dhcp4"}
