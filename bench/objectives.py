"""Workloads with their objectives and shares written out, so that a server and a simulator have the same."""

import json
import pathlib


def latency(device, model, rows):
    """Microseconds of so many rows on the whole device, as profiles have them."""
    whole = sum(device["processors"])
    points = {(point[0], point[1]): point[2] for point in device["models"][model]["points"]}
    buckets = sorted({key[0] for key in points})
    return points[min(bucket for bucket in buckets if bucket >= min(rows, buckets[-1])), whole]


def with_objectives(workload: pathlib.Path, device: dict, folder: pathlib.Path, factor=None) -> pathlib.Path:
    """Writes the workload to the folder: objectives in milliseconds (`factor` in place of the workload's own), shares as numbers."""
    text = json.loads(workload.read_text())
    defaults = text.pop("defaults", {})
    for tenant in text["tenants"]:
        for key, value in defaults.items():
            tenant.setdefault(key, value)
        if "slo_factor" in tenant:
            tenant["slo_ms"] = round((factor or tenant.pop("slo_factor")) * latency(device, tenant["model"], 1) / 1e3, 3)
            tenant.pop("slo_factor", None)
        if tenant.pop("share_by_cost", False):
            tenant["share"] = tenant["share"] / latency(device, tenant["model"], 8) * 1e4
    path = folder / f"{text['name']}.json"
    path.write_text(json.dumps(text, indent=1))
    return path


def tenant_names(tenants):
    """As the load generator calls them: those of one model are numbered from the second on."""
    names = []
    for tenant in tenants:
        base = name = tenant.get("name", tenant["model"])
        number = 1
        while name in names:
            number += 1
            name = f"{base}_{number}"
        names.append(name)
    return names


def policy_words(name, tenants):
    """As --policy has it. `fixed` gets equal shares: with rates inverse to cost all tenants ask for about the same."""
    return name if name != "fixed" else "fixed:" + ",".join(f"share.{each}={1 / len(tenants):.6g}" for each in tenants)
