"""What a program is compiled from: the pinned module or the site's, with Berth's changes laid over it."""

from __future__ import annotations

import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import images
from config import paths
from operations.host import golang, source, toolchain
from operations.host.prepare import BootstrapError
from operations.host.shell import CommandFailed, Shell

CACHE = paths.home() / "cache"
GO = toolchain.find(CACHE)
CHANGES = images.FOLDER / "minio" / "edit"
FORK, VERSION = "example.com/fork/minio", "v1.2.3"
SITE = f'[minio]\nreplace = "{FORK}"\nversion = "{VERSION}"\nreleased = 2026-09-16T08:00:00Z\n'
REASON = 'edit = false\nreason = "The fork refuses forged requests itself since v1.2.0."\n'

MAIN = """package main

import "github.com/minio/minio/cmd"

func main() { println(cmd.Version, cmd.Door) }
"""
ROUTERS = """package cmd

var Version = "unknown"

var checks = []middleware{
	setAuthMiddleware,
}
"""
# As much of the real thing as Berth's change refers to.
STAND_IN = """package cmd

import (
	"context"
	"net/http"
	"net/url"
)

type middleware = func(http.Handler) http.Handler
type APIErrorCode int
type codes struct{}

const (
	ErrNone APIErrorCode = iota
	ErrAccessDenied
	serviceS3
)

var (
	Door       = len(checks)
	errorCodes codes
)

func (codes) ToAPIErr(code APIErrorCode) APIErrorCode                                        { return code }
func setAuthMiddleware(next http.Handler) http.Handler                                       { return next }
func writeErrorResponse(context.Context, http.ResponseWriter, APIErrorCode, *url.URL)        {}
func reqSignatureV4Verify(*http.Request, string, APIErrorCode) APIErrorCode                  { return ErrNone }
func isReqAuthenticatedV2(*http.Request) APIErrorCode                                        { return ErrNone }
"""
HEADERS = """package http

const (
	AmzContentSha256 = "a"
	AmzCredential    = "b"
	AmzAccessKeyID   = "c"
	AmzSignature     = "d"
	Authorization    = "e"
)
"""
MODULE = {
    "go.mod": "module github.com/minio/minio\n\ngo 1.21\n",
    "main.go": MAIN,
    "cmd/routers.go": ROUTERS,
    "cmd/rest.go": STAND_IN,
    "internal/http/headers.go": HEADERS,
}


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A copy of a source that the change fits."""
    for name, text in MODULE.items():
        file = tmp_path / "module" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path / "module"


def test_a_change_is_laid_over_the_words_that_it_expects(module: Path) -> None:
    source.change(CHANGES, module, "github.com/minio/minio")
    assert "\tsetAuthMiddleware, berthCheckSignature,\n" in (module / "cmd/routers.go").read_text()
    assert (module / "cmd/berth-signature-check.go").read_text() == (CHANGES / "signature_check.go").read_text()


def test_a_change_knows_a_fork_of_another_module_path(module: Path) -> None:
    source.change(CHANGES, module, "example.com/own/store")
    added = (module / "cmd/berth-signature-check.go").read_text()
    assert '"example.com/own/store/internal/http"' in added and "github.com" not in added


@pytest.mark.parametrize(("text", "times"), [("", 0), (ROUTERS + "// setAuthMiddleware, again\n", 2), (None, 0)])
def test_a_source_without_its_anchor_or_with_two_is_refused(text: str | None, times: int, module: Path) -> None:
    routers = module / "cmd/routers.go"
    routers.unlink() if text is None else routers.write_text(text)
    with pytest.raises(BootstrapError) as refused:
        source.change(CHANGES, module, "github.com/minio/minio")
    said = str(refused.value)
    assert f"cmd/routers.go has `setAuthMiddleware,` {times} times instead of once" in said
    assert "Nothing was compiled" in said
    assert not (module / "cmd/berth-signature-check.go").exists()


def test_a_source_that_has_a_file_of_that_name_is_refused(module: Path) -> None:
    (module / "cmd/berth-signature-check.go").write_text("package cmd\n")
    with pytest.raises(BootstrapError, match=r"berth-signature-check\.go is there already"):
        source.change(CHANGES, module, "github.com/minio/minio")
    assert (module / "cmd/routers.go").read_text() == ROUTERS


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A site with a proxy of its own, which serves one fork, and a Go that keeps its caches here."""
    if GO is None:
        pytest.skip("no Go that is new enough: ./berth up brings one")
    home, proxy = tmp_path / "home", tmp_path / "proxy"
    # What the standard library was compiled to is shared; modules are this test's own.
    for folder in (CACHE / "go-build", home / "cache"):
        folder.mkdir(parents=True, exist_ok=True)
    (home / "cache" / "go-build").symlink_to(CACHE / "go-build")
    serve(proxy, MODULE)
    for name, value in {
        "BERTH_HOME": str(home),
        "GOPROXY": f"file://{proxy}",
        "GONOSUMDB": "example.com/*",
        "GOFLAGS": "",
    }.items():
        monkeypatch.setenv(name, value)
    images.input_hash.cache_clear()
    yield tmp_path
    images.input_hash.cache_clear()


def serve(proxy: Path, files: dict[str, str]) -> None:
    versions = proxy / FORK / "@v"
    versions.mkdir(parents=True, exist_ok=True)
    (versions / "list").write_text(f"{VERSION}\n")
    (versions / f"{VERSION}.info").write_text(f'{{"Version": "{VERSION}", "Time": "2026-09-16T08:00:00Z"}}')
    (versions / f"{VERSION}.mod").write_text(files["go.mod"])
    with zipfile.ZipFile(versions / f"{VERSION}.zip", "w") as packed:
        for name, text in files.items():
            packed.writestr(f"{FORK}@{VERSION}/{name}", text)


def build(site: Path, settings: str) -> str:
    """What the program says that is built by these settings."""
    (site / "home" / "images.toml").write_text(settings, encoding="utf-8")
    images.input_hash.cache_clear()
    cache, log = site / "home" / "cache", site / "log"
    assert GO
    golang.compile_program("minio", GO, Shell(log), cache)
    said = subprocess.run([golang.program("minio", cache)], capture_output=True, text=True, check=True)
    return said.stderr.strip()


def test_a_fork_is_compiled_with_the_change(site: Path) -> None:
    assert build(site, SITE) == "2026-09-16T08:00:00Z 2"


def test_a_fork_that_has_the_fix_is_compiled_as_it_is(site: Path) -> None:
    assert build(site, SITE + REASON) == "2026-09-16T08:00:00Z 1"
    assert "The fork refuses forged requests itself" in (site / "log").read_text()


def test_a_fork_that_the_change_does_not_fit_is_refused(site: Path) -> None:
    serve(site / "proxy", MODULE | {"cmd/routers.go": ROUTERS.replace("setAuthMiddleware,", "auth,")})
    with pytest.raises(BootstrapError, match=r"`setAuthMiddleware,` 0 times instead of once"):
        build(site, SITE)
    assert " build " not in (site / "log").read_text()


def test_a_fork_that_no_proxy_has_is_refused_before_anything_is_compiled(site: Path) -> None:
    with pytest.raises(BootstrapError) as refused:
        build(site, SITE.replace(VERSION, "v9.9.9"))
    said = str(refused.value)
    assert f"{site / 'home' / 'images.toml'}: minio is to be built from {FORK} v9.9.9" in said
    assert "Nothing was compiled" in said and "\n" not in said
    assert " build " not in (site / "log").read_text()


def test_a_fork_without_a_checksum_is_not_taken_unless_the_site_says_so(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GONOSUMDB", "")
    monkeypatch.setenv("GOSUMDB", "sum.golang.org https://127.0.0.1:1")
    with pytest.raises(BootstrapError, match="no proxy serves it, or with another checksum"):
        build(site, SITE)


def test_a_fork_that_needs_a_module_that_is_not_there_is_not_compiled(site: Path) -> None:
    lost = MAIN.replace("import ", 'import _ "example.com/lost"\n\nimport ')
    serve(site / "proxy", MODULE | {"main.go": lost})
    with pytest.raises(CommandFailed, match=r"example\.com/lost"):
        build(site, SITE)
    assert " build " not in (site / "log").read_text()
