"""Which card measured something, and how busy it says it is."""

import shutil
import statistics
import subprocess

FIELDS = ("name", "uuid", "driver_version", "memory.total", "power.limit", "clocks.max.sm")


def place(device: str):
    """The number of the card that `--device` names first; None: it is none."""
    first = device.split(",")[0].split("/")[0]
    if first == "auto":
        return 0
    return int(first.removeprefix("cuda:")) if first.startswith("cuda:") else None


def ask(number, fields) -> list:
    done = subprocess.run(["nvidia-smi", f"--id={number}", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return [part.strip() for part in done.stdout.strip().split(",")] if done.returncode == 0 else []


def card_of(device: str) -> dict:
    """What its driver says of the card; empty where there is none."""
    number = place(device)
    if number is None or not shutil.which("nvidia-smi"):
        return {}
    return dict(zip(FIELDS, ask(number, FIELDS)))


class Watch:
    """What nvidia-smi says of a card while something runs, five times a second: the share of the time in which any kernel ran, which
    tells a full card from one with a single small kernel as little as it does elsewhere, and the power that it drew."""

    def __init__(self, device: str):
        number = place(device)
        self.process = None
        if number is not None and shutil.which("nvidia-smi"):
            self.process = subprocess.Popen(["nvidia-smi", f"--id={number}", "--query-gpu=utilization.gpu,power.draw",
                                             "--format=csv,noheader,nounits", "-lms", "200"], stdin=subprocess.DEVNULL,
                                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def end(self) -> dict:
        """Means over the time since it was made."""
        if self.process is None:
            return {}
        self.process.terminate()
        out, _ = self.process.communicate()
        seen = []
        for line in out.splitlines():
            try:
                seen.append([float(part) for part in line.split(",")])
            except ValueError:  # "[N/A]", or cut short by the end
                continue
        seen = [each for each in seen if len(each) == 2]
        if not seen:
            return {}
        return {"kernels_ran_percent": round(statistics.mean(each[0] for each in seen), 1),
                "power_w": round(statistics.mean(each[1] for each in seen), 1)}
