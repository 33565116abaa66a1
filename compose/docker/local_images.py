"""Images for a machine that reaches no image registry, built from packages alone.

The base is a root file system of the machine's own Linux distribution (Debian or one that is made like it), with a
Java runtime and Python, imported as an image; which mirror it comes from is what apt uses here. On it stand a broker
and a Connect worker from the jars of the local stack, a database from its package, and this project's own image, by
the same Dockerfile as everywhere else. The servers take the environment of the images they stand in for, so that
``compose.yaml`` and the tests name the one or the other and change nothing else.

The project's image is built without a network: its wheels are fetched here, by the clients that installed this
project, for the Python of the base. Progress goes to standard error; standard output says how the tests are told.
"""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from compose.native import jars
from compose.native.postgres import copy_package
from compose.version import VERSION
from stream.errors import Fatal, Misuse

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
PREFIX = "embedstream-local"
BASE = f"{PREFIX}/base:latest"
_PACKAGES = ("ca-certificates", "default-jre-headless", "python3", "python3-venv")
_UNNEEDED = ("./var/cache/apt", "./var/lib/apt/lists", "./usr/share/doc", "./usr/share/man", "./usr/share/locale")
_ENVIRONMENT = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8"
_WHEELS = ROOT / "build" / "wheels"
_DEADLINE_S = 900.0


@dataclass(frozen=True, slots=True)
class Image:
    """``variable`` is how a test is told of it; ``lay_out`` puts into a folder what the Dockerfile copies."""

    name: str
    tag: str
    variable: str
    lay_out: Callable[[Path], None]

    @property
    def reference(self) -> str:
        return f"{PREFIX}/{self.name}:{self.tag}"


def _jars_of(coordinates: tuple[str, ...]) -> Callable[[Path], None]:
    def lay_out(context: Path) -> None:
        (context / "jars").mkdir()
        for jar in jars.resolve(coordinates).jars:
            shutil.copy2(jar, context / "jars")

    return lay_out


def _database(context: Path) -> None:
    copy_package(context / "package")


SERVERS = (
    Image("kafka", jars.KAFKA_VERSION, "EMBEDSTREAM_TEST_KAFKA_IMAGE", _jars_of(jars.BROKER)),
    Image("connect", jars.DEBEZIUM_VERSION, "EMBEDSTREAM_TEST_CONNECT_IMAGE", _jars_of(jars.CONNECT)),
    Image("postgres", "latest", "EMBEDSTREAM_TEST_POSTGRES_IMAGE", _database),
)
PROJECT = Image("embedstream", VERSION, "EMBEDSTREAM_TEST_IMAGE", lambda _context: None)
IMAGES = (*SERVERS, PROJECT)


def build(names: Iterable[str] = (), *, fresh_base: bool = False) -> Mapping[str, str]:
    """Builds the images of these names, all by default; variable → reference. The base is kept where there is one.

    Raises Fatal with one sentence when a tool is missing or fails, Misuse for an unknown name.
    """
    wanted = set(names)
    unknown = sorted(wanted - {image.name for image in IMAGES})
    if unknown:
        raise Misuse(f"There is no image {unknown[0]!r}: {', '.join(image.name for image in IMAGES)}.")
    chosen = [image for image in IMAGES if not wanted or image.name in wanted]
    if fresh_base or not _exists(BASE):
        _make_base()
    for image in chosen:
        _say(f"building {image.reference}")
        if image is PROJECT:
            _build_project(image)
        else:
            _build_server(image)
    return {image.variable: image.reference for image in chosen}


def _build_server(image: Image) -> None:
    with tempfile.TemporaryDirectory(prefix="embedstream-context-") as folder:
        context = Path(folder) / image.name
        shutil.copytree(HERE / image.name, context)
        image.lay_out(context)
        _docker_build(context, image.reference, {"BASE": BASE})


def _build_project(image: Image) -> None:
    try:
        _fetch_wheels()
        arguments = {"BASE": BASE, "TORCH": "none"}
        _docker_build(ROOT, image.reference, arguments, "--file", str(HERE / "Dockerfile"), "--network", "none")
    finally:
        shutil.rmtree(_WHEELS, ignore_errors=True)


def _docker_build(context: Path, reference: str, arguments: Mapping[str, str], *options: str) -> None:
    given = [part for name, value in arguments.items() for part in ("--build-arg", f"{name}={value}")]
    # The classic builder is part of every engine; the newer one is a package of its own and pulls what it is made of.
    _run(
        ("docker", "build", "--quiet", "--tag", reference, *given, *options, str(context)),
        f"The image {reference} could not be built",
        {"DOCKER_BUILDKIT": "0"},
    )


def _fetch_wheels() -> None:
    """Into ``build/wheels``: all that the image without PyTorch needs, as pinned, for the Python of the base."""
    version, c_library = _run(
        ("docker", "run", "--rm", "--network", "none", BASE, "python3", "-c", _ASK_PYTHON),
        f"The Python of {BASE} does not answer",
    ).split()
    shutil.rmtree(_WHEELS, ignore_errors=True)
    _WHEELS.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="embedstream-wheels-") as folder:
        tools, pins = Path(folder) / "tools.in", Path(folder) / "pins.txt"
        # What the Dockerfile installs with, and what builds this project's own wheel.
        tools.write_text("uv\nsetuptools\n", encoding="ascii")
        compile_pins = (sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", str(tools))
        options = ("--constraint", "constraints.txt", "--excludes", str(HERE / "needs-torch.txt"))
        target = ("--python-version", version, "--no-header", "--no-annotate", "--quiet", "--output-file", str(pins))
        _run((*compile_pins, *options, *target), "The pinned versions do not go together")
        machine = platform.machine()
        newest = int(c_library.split(".")[1])
        tags = [f"manylinux_2_{minor}_{machine}" for minor in range(5, newest + 1)]
        tags += [f"manylinux{year}_{machine}" for year in (1, 2010, 2014)]
        platforms = [part for tag in tags for part in ("--platform", tag)]
        fetch = (sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps")
        wheels = ("--only-binary", ":all:", "--implementation", "cp", "--python-version", version, *platforms)
        _run((*fetch, *wheels, "--requirement", str(pins), "--dest", str(_WHEELS)), "The wheels could not be fetched")


_ASK_PYTHON = "import platform; print('.'.join(platform.python_version_tuple()[:2]), platform.libc_ver()[1])"


def _make_base() -> None:
    if os.geteuid() != 0:
        raise Fatal("Only root can make a root file system: run build-local-images as root.")
    if shutil.which("debootstrap") is None:
        raise Fatal("The base image is made by debootstrap, which is missing: apt-get install debootstrap.")
    mirror, codename, components = _apt_source()
    _say(f"making {BASE} from the packages of {codename}")
    with _root_folder() as root:
        include = f"--include={','.join(_PACKAGES)}"
        options = ("--variant=minbase", f"--components={components}", include)
        _run(("debootstrap", *options, codename, str(root), mirror), "The root file system could not be made")
        skip = [f"--exclude={folder}" for folder in _UNNEEDED]
        pack = ("tar", "-C", str(root), *skip, "-c", ".")
        with subprocess.Popen(pack, stdout=subprocess.PIPE) as packing:  # noqa: S603
            _run(
                ("docker", "import", "--change", _ENVIRONMENT, "-", BASE),
                "The root file system could not be imported",
                stdin=packing.stdout,
            )
        if packing.returncode != 0:
            raise Fatal(f"The root file system could not be packed: tar ended with status {packing.returncode}.")


@contextmanager
def _root_folder() -> Iterator[Path]:
    """Not below ``/tmp``, which may forbid devices, or lie in memory."""
    root = Path(tempfile.mkdtemp(prefix="embedstream-root-", dir="/var/tmp"))
    try:
        root.chmod(0o755)
        yield root
    finally:
        # Should /proc still be mounted in there, it stays untouched.
        _run(("rm", "-rf", "--one-file-system", str(root)), f"{root} could not be removed")


def _apt_source() -> tuple[str, str, str]:
    """Mirror, code name and components of the machine's own packages, as apt uses them."""
    codename = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    form = ("--format", "$(REPO_URI) $(COMPONENT)")
    filters = ("Created-By: Packages", f"Codename: {codename}")
    answer = _run(("apt-get", "indextargets", *form, *filters), "apt does not tell its sources")
    found = [line.split() for line in answer.splitlines() if len(line.split()) == 2]
    mirrors = [uri for uri, component in found if component == "main"]
    if not codename or not mirrors:
        raise Fatal("apt has no source of this release's packages: run apt-get update, or use an image registry.")
    components = {component for uri, component in found if uri == mirrors[0]} & {"main", "universe"}
    return mirrors[0], codename, ",".join(sorted(components))


def _exists(reference: str) -> bool:
    done = subprocess.run(  # noqa: S603
        ("docker", "image", "inspect", reference),  # noqa: S607
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode == 0


def _run(
    command: tuple[str, ...],
    failure: str,
    environment: Mapping[str, str] | None = None,
    stdin: int | IO[bytes] | None = subprocess.DEVNULL,
) -> str:
    """What the command printed. Raises Fatal: ``failure`` and the last lines of what it said."""
    try:
        done = subprocess.run(  # noqa: S603 - commands of this file
            command,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=_DEADLINE_S,
            check=False,
        )
    except FileNotFoundError:
        raise Fatal(f"{failure}: there is no {command[0]} on this machine.") from None
    except subprocess.TimeoutExpired:
        raise Fatal(f"{failure}: {command[0]} took longer than {_DEADLINE_S:.0f} s.") from None
    if done.returncode != 0:
        said = "\n".join((done.stdout + done.stderr).strip().splitlines()[-12:])
        raise Fatal(f"{failure}: {command[0]} ended with status {done.returncode}.\n{said}")
    return done.stdout


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201


if __name__ == "__main__":
    try:
        for variable, reference in build(sys.argv[1:]).items():
            print(f"{variable}={reference}")  # noqa: T201
    except (Fatal, Misuse) as error:
        raise SystemExit(str(error)) from None
