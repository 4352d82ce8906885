"""Four real models on this machine's processors, each with a latency objective, called as their users call them.

Run by scripts/demo. Exit status 0 only if the words and the face were found and no tenant missed more than it may.
"""

import argparse
import json
import math
import os
import pathlib
import signal
import sys
import time

import numpy as np
import tritonclient.http as httpclient
from PIL import Image, ImageDraw, ImageFont

import tenants as tenancy
import vision
from server import MODELS, Server, make_repository

LOAD = 0.6                 # of the measured capacity
SLO_FACTOR = 5
REQUESTS_EACH = 40
LIMIT_S = 60
EXPECTED_WORDS = ("Region-based", "segmentation", "determine", "markers", "background", "pixels", "ambiguously",
                  "histogram")
FACE_AT = (224, 112)       # the astronaut's nose


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", required=True, type=pathlib.Path, help="the tessera binary")
    parser.add_argument("--deps", required=True, type=pathlib.Path, help="the folder with models/ and images/")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="where pictures and the log go")
    parser.add_argument("--serve", action="store_true", help="leave the server up and print calls to try")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def make_tenants(deps):
    """Page scans for the OCR models, photographs for the faces."""
    pages = [vision.load_picture(deps / "images" / name) for name in ("page.png", "text.png")]
    photographs = [vision.load_picture(deps / "images" / name)
                   for name in ("astronaut.png", "coffee.png", "rocket.jpg", "chelsea.png")]
    page = pages[0]
    lines = [page.crop((0, top, page.width, top + 20)) for top in (46, 65, 84, 104)]
    return [
        tenancy.Tenant("page scans", "ocr_detection", "http", "x", [vision.detection_input(p) for p in pages]),
        tenancy.Tenant("text lines", "ocr_recognition", "grpc", "x", [vision.recognition_input(l) for l in lines]),
        tenancy.Tenant("which way up", "ocr_orientation", "http", "x", [vision.orientation_input(l) for l in lines]),
        tenancy.Tenant("photographs", "faces", "grpc", "input.1", [vision.faces_input(p) for p in photographs]),
    ]


def say(text):
    print(text, flush=True)


def progress_line(seconds, tenants):
    counts = "  ".join(f"{t.name} {len(t.latencies) + t.refused + len(t.errors)}/{t.offered}" for t in tenants)
    if sys.stdout.isatty():
        print(f"\r  {seconds:4.0f} s  {counts}   ", end="", flush=True)
    elif int(seconds * 2) % 10 == 0:
        say(f"  {seconds:4.0f} s  {counts}")


def set_objectives(server, tenants, longest_s):
    """Reloads each model with its SLO, as an operator would: same files, another config."""
    client = httpclient.InferenceServerClient(server.http, network_timeout=120)
    for tenant in tenants:
        tenant.slo_s = SLO_FACTOR * tenant.alone_s + longest_s
        client.load_model(tenant.model, config=json.dumps(
            {"parameters": {"slo_ms": {"string_value": f"{tenant.slo_s * 1e3:.3f}"}}}))
    client.close()


def cores_of(server, tenant):
    launches = server.metric("tessera_launches_total", model=tenant.model)
    per_core = {}
    for labels, count in launches.items():
        core = dict(labels).get("atom")
        if core is not None and count > 0:
            per_core[core] = per_core.get(core, 0) + count
    return ",".join(sorted(per_core, key=int)) or "-"


def print_table(server, tenants, seconds):
    say(f"\n{'tenant':<14}{'model':<17}{'via':<6}{'SLO ms':>8}{'offered/s':>11}{'answered/s':>12}{'p50 ms':>9}"
        f"{'p99 ms':>9}{'met':>8}  cores")
    for t in tenants:
        p50, p99 = (np.percentile(t.latencies, q) * 1e3 if t.latencies else math.nan for q in (50, 99))
        say(f"{t.name:<14}{t.model:<17}{t.protocol:<6}{t.slo_s * 1e3:>8.1f}{t.offered / seconds:>11.2f}"
            f"{len(t.latencies) / seconds:>12.2f}{p50:>9.1f}{p99:>9.1f}{t.attainment:>8.1%}  {cores_of(server, t)}")


def draw_text(server, deps, out):
    """Finds, turns and reads the lines of the page; returns the words."""
    characters = vision.read_characters(deps / "models" / "ocr_characters.txt")
    page = vision.load_picture(deps / "images" / "page.png")
    (chances,) = tenancy.infer(server, "ocr_detection", "x", vision.detection_input(page), ["sigmoid_0.tmp_0"])
    read = []
    for line in vision.text_lines(chances, page.size):
        cut = vision.cut_out(page, line)
        (turn,) = tenancy.infer(server, "ocr_orientation", "x", vision.orientation_input(cut),
                                ["save_infer_model/scale_0.tmp_1"])
        if vision.is_upside_down(turn):
            cut = cut.rotate(180)
        (scores,) = tenancy.infer(server, "ocr_recognition", "x", vision.recognition_input(cut),
                                  ["softmax_11.tmp_0"])
        read.append((line, vision.decode_words(scores, characters)))

    zoom = 3
    picture = Image.new("RGB", (page.width * zoom, 2 * page.height * zoom), "white")
    picture.paste(page.resize((page.width * zoom, page.height * zoom), Image.LANCZOS), (0, 0))
    draw = ImageDraw.Draw(picture)
    for line, words in read:
        corners = [(x * zoom, y * zoom) for x, y in line.corners]
        draw.polygon(corners, outline=(220, 40, 40), width=3)
        # The words again, below, as wide as the line they were read from.
        width = corners[1][0] - corners[0][0]
        size = 28 * width / max(1, ImageFont.load_default(size=28).getlength(words))
        draw.text((corners[0][0], (corners[0][1] + corners[3][1]) / 2 + page.height * zoom), words, fill=(20, 20, 20),
                  font=ImageFont.load_default(size=min(60, size)), anchor="lm")
    picture.save(out / "text.png")
    return " ".join(words for _, words in read)


def draw_faces(server, deps, out):
    photograph = vision.load_picture(deps / "images" / "astronaut.png")
    maps = tenancy.infer(server, "faces", "input.1", vision.faces_input(photograph), ["537", "538", "539"])
    boxes = vision.face_boxes(*maps, photograph.size)
    draw = ImageDraw.Draw(photograph)
    for box in boxes:
        draw.rectangle((box.left, box.top, box.right, box.bottom), outline=(60, 220, 60), width=3)
        draw.text((box.left + 4, box.top - 20), f"face {box.score:.2f}", fill=(60, 220, 60),
                  font=ImageFont.load_default(size=18))
    photograph.save(out / "faces.png")
    return boxes


def judge(tenants, words, boxes):
    """What went wrong, as sentences; empty when all is well."""
    wrong = [f"the page scan's words lack '{word}'; read: {words}" for word in EXPECTED_WORDS if word not in words]
    if not any(box.covers(*FACE_AT) for box in boxes):
        wrong.append(f"no face box covers {FACE_AT}; found: {boxes}")
    for tenant in tenants:
        allowed = max(2, 0.05 * tenant.offered)
        if tenant.missed > allowed:
            wrong.append(f"{tenant.name} missed {tenant.missed} of {tenant.offered} requests, {allowed:.0f} are allowed "
                         f"({tenant.refused} refused, {len(tenant.errors)} errors{': ' + tenant.errors[0] if tenant.errors else ''})")
        if tenant.offered < REQUESTS_EACH:
            wrong.append(f"{tenant.name} had only {tenant.offered} of {REQUESTS_EACH} requests in {LIMIT_S} s")
    return wrong


def longest_run_on_one_core(arguments, repository, tenants):
    core = min(os.sched_getaffinity(0))
    log = arguments.out / "tessera-one-core.log"
    with Server(arguments.server, repository, log, "--host-cores", str(core)) as server:
        return max(tenancy.latency_alone(tenant, server, seconds=1.0) for tenant in tenants)


def show_calls(server):
    say(f"""
The server is up: http {server.http}, gRPC {server.grpc}, metrics http://{server.metrics}/metrics
Three calls to try (Python from .deps/venv/bin/python):

  curl -s http://{server.http}/v2/models/faces

  python -c 'import numpy as np, tritonclient.http as c
x = c.InferInput("x", [1, 3, 48, 192], "FP32"); x.set_data_from_numpy(np.zeros((1, 3, 48, 192), np.float32))
print(c.InferenceServerClient("{server.http}").infer("ocr_orientation", [x]).as_numpy("save_infer_model/scale_0.tmp_1"))'

  python -c 'import numpy as np, tritonclient.grpc as c
x = c.InferInput("input.1", [1, 3, 512, 512], "FP32"); x.set_data_from_numpy(np.zeros((1, 3, 512, 512), np.float32))
print(c.InferenceServerClient("{server.grpc}").infer("faces", [x]).as_numpy("537").shape)'

Ctrl-C ends it.""")
    try:
        signal.pause()
    except KeyboardInterrupt:
        say("")


def main():
    arguments = parse_arguments()
    arguments.out.mkdir(parents=True, exist_ok=True)
    repository = make_repository(arguments.out / "demo-repository", arguments.deps / "models")
    tenants = make_tenants(arguments.deps)

    if arguments.serve:
        with Server(arguments.server, repository, arguments.out / "tessera.log", ports=(8000, 8001, 8002)) as server:
            show_calls(server)
        return 0

    say(f"Measuring the longest run on one core ({len(MODELS)} models) ...")
    longest_s = longest_run_on_one_core(arguments, repository, tenants)
    with Server(arguments.server, repository, arguments.out / "tessera.log") as server:
        say("Measuring each model alone ...")
        for tenant in tenants:
            tenant.alone_s = tenancy.latency_alone(tenant, server)
            say(f"  {tenant.model:<17}{tenant.alone_s * 1e3:8.1f} ms")
        say(f"  longest run of one request on one core {longest_s * 1e3:.1f} ms")
        say("Measuring the capacity of the mix ...")
        capacity = tenancy.mix_capacity(tenants, server, seconds=8)
        for tenant in tenants:
            tenant.rate = LOAD * capacity[tenant.name]
        set_objectives(server, tenants, longest_s)
        say(f"Playing four tenants at {LOAD:.0%} of capacity, {REQUESTS_EACH} requests each at least, {LIMIT_S} s at most")
        seconds = tenancy.play(tenants, server, REQUESTS_EACH, LIMIT_S, arguments.seed, progress_line)
        print_table(server, tenants, seconds)

        words = draw_text(server, arguments.deps, arguments.out)
        boxes = draw_faces(server, arguments.deps, arguments.out)
        say(f"\nread on the page: {words}")
        say(f"faces found: {len(boxes)}\npictures: {arguments.out / 'text.png'}  {arguments.out / 'faces.png'}")
        wrong = judge(tenants, words, boxes)
        if server.stop() != 0:
            wrong.append(f"the server ended with status {server.process.returncode} instead of 0")
    for sentence in wrong:
        say(f"FAILED: {sentence}")
    say("demo failed" if wrong else "demo passed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
