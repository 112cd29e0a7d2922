"""The promises, each as a function that raises `Broken` where a store does not keep it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from tests.store.contract import forgeries
from tests.store.contract.store import Broken, Store, bucket_of_its_own, uploads, versions

MIB = 1024 * 1024
SMALLEST_PART = 5 * MIB
ROUNDS = 50
MOST_DELETED = 1000
ETAG = "<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>"


def read_after_write(store: Store) -> None:
    """What was written, written over or deleted is seen so by the next read."""
    for number in range(ROUNDS):
        body = b"%d" % number * 100
        etag = store.put("a/b", body)
        got = store.ask("GET", "a/b").want(200)
        same("the body of a read", got.body, body)
        head = store.ask("HEAD", "a/b").want(200)
        same("size and ETag", (head.headers["content-length"], head.headers["etag"]), (str(len(body)), etag))
        same("a range", store.ask("GET", "a/b", headers={"Range": "bytes=1-3"}).want(206).body, body[1:4])
    store.ask("DELETE", "a/b").want(204)
    store.ask("GET", "a/b").want(404, "NoSuchKey")


def list_after_write(store: Store) -> None:
    """A listing has every object that was written before it, also while others write, and none that was deleted."""
    names = [f"l/{number:04}" for number in range(ROUNDS)]

    def write_and_look(name: str) -> bool:
        store.put(name)
        return name in store.keys({"prefix": "l/"})

    with ThreadPoolExecutor(8) as pool:
        same("every new object in the listing after it", all(pool.map(write_and_look, names)), True)
    same("the whole listing", store.keys({"prefix": "l/"}), names)
    same("a listing in pages", store.keys({"prefix": "l/", "max-keys": "7"}), names)
    same("a listing from a key on", store.keys({"prefix": "l/", "start-after": names[-3]}), names[-2:])
    folders = store.ask("GET", query={"delimiter": "/", "list-type": "2"}).want(200).texts("Prefix")
    same("folders", "l/" in folders, True)
    store.ask("DELETE", names[0]).want(204)
    same("the listing after a deletion", names[0] in store.keys({"prefix": "l/"}), False)


def conditional_put(store: Store) -> None:
    """`If-None-Match: *` writes once, of many at a time one; `If-Match` writes over what is known and nothing else."""
    etag = store.ask("PUT", "c", b"1", {"If-None-Match": "*"}).want(200).headers["etag"]
    store.ask("PUT", "c", b"2", {"If-None-Match": "*"}).want(412, "PreconditionFailed")
    newer = store.ask("PUT", "c", b"3", {"If-Match": etag}).want(200).headers["etag"]
    store.ask("PUT", "c", b"4", {"If-Match": etag}).want(412, "PreconditionFailed")
    same("the object", store.ask("GET", "c").want(200).body, b"3")
    missing = store.ask("PUT", "c/none", b"5", {"If-Match": newer})
    if missing.status not in (404, 412):
        raise Broken(f"If-Match of a key that is not there was answered {missing.status}.")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: store.ask("PUT", "race", b"%d" % n, {"If-None-Match": "*"}), range(8)))
    same("how many of 8 wrote", [one.status for one in answers].count(200), 1)
    winner = next(number for number, one in enumerate(answers) if one.status == 200)
    same("the one that was told so", store.ask("GET", "race").want(200).body, b"%d" % winner)


def versions_and_markers(store: Store) -> None:
    """A deletion in a bucket with versions is a marker: versions stay readable, and without the marker it is undone."""
    with bucket_of_its_own(store, versioned=True) as own:
        first = own.ask("PUT", "v", b"1").want(200).headers.get("x-amz-version-id", "")
        second = own.ask("PUT", "v", b"2").want(200).headers.get("x-amz-version-id", "")
        marker = own.ask("DELETE", "v").want(204)
        same("the answer's marker", marker.headers.get("x-amz-delete-marker"), "true")
        own.ask("GET", "v").want(404, "NoSuchKey")
        same("a listing", own.keys(), [])
        same("what there is", len(versions(own)), 3)
        same("the older version", own.ask("GET", "v", query={"versionId": first}).want(200).body, b"1")
        own.ask("DELETE", "v", query={"versionId": marker.headers["x-amz-version-id"]}).want(204)
        same("the object", own.ask("GET", "v").want(200).body, b"2")
        own.ask("DELETE", "v", query={"versionId": second}).want(204)
        same("the object", own.ask("GET", "v").want(200).body, b"1")


def multipart(store: Store) -> None:
    """Parts become an object when they are completed and not before; an aborted upload leaves nothing."""
    parts = (b"p" * SMALLEST_PART, b"q" * 3)
    upload = begin(store, "m")
    etags = [
        store.ask("PUT", "m", part, query={"partNumber": str(number), "uploadId": upload}).want(200).headers["etag"]
        for number, part in enumerate(parts, 1)
    ]
    listed = store.ask("GET", "m", query={"uploadId": upload}).want(200)
    same("the parts' sizes", listed.texts("Size"), [str(len(part)) for part in parts])
    same("uploads under way", uploads(store), [("m", upload)])
    store.ask("GET", "m").want(404)
    complete(store, "m", upload, etags)
    same("the object", store.ask("GET", "m").want(200).body, b"".join(parts))
    other = begin(store, "n")
    store.ask("PUT", "n", b"x", query={"partNumber": "1", "uploadId": other}).want(200)
    store.ask("DELETE", "n", query={"uploadId": other}).want(204)
    store.ask("GET", "n", query={"uploadId": other}).want(404, "NoSuchUpload")
    store.ask("GET", "n").want(404, "NoSuchKey")
    same("uploads under way", uploads(store), [])


def copies(store: Store) -> None:
    """An object is copied within the store, whole and by ranges that become parts: so the registry moves an upload."""
    body = bytes(range(256)) * (SMALLEST_PART // 256) + b"end"
    store.put("from", body)
    source = {"x-amz-copy-source": f"/{store.bucket}/from"}
    store.ask("PUT", "whole", headers=source).want(200)
    same("the copy", store.ask("GET", "whole").want(200).body, body)
    upload, etags = begin(store, "parts"), []
    for number, span in enumerate((f"0-{SMALLEST_PART - 1}", f"{SMALLEST_PART}-{len(body) - 1}"), 1):
        headers = {**source, "x-amz-copy-source-range": f"bytes={span}"}
        copied = store.ask("PUT", "parts", headers=headers, query={"partNumber": str(number), "uploadId": upload}).want(
            200
        )
        etags.append(copied.text("ETag"))
    complete(store, "parts", upload, etags)
    same("the copy by parts", store.ask("GET", "parts").want(200).body, body)
    store.ask("PUT", "none", headers={"x-amz-copy-source": f"/{store.bucket}/not-there"}).want(404, "NoSuchKey")


def thousand_deletions(store: Store) -> None:
    """1,000 objects go with one request, and none of them is listed afterwards."""
    names = [f"d/{number:04}" for number in range(MOST_DELETED)]
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(store.put, names))
    answer = store.remove(*((name, "") for name in names)).want(200)
    same("errors", answer.texts("Message"), [])
    same("how many are deleted", len(answer.texts("Key")), MOST_DELETED)
    same("the listing", store.keys({"prefix": "d/"}), [])


def errors_for_what_is_missing(store: Store) -> None:
    """What is not there is 404 by its own name, and never an empty answer or a refusal."""
    store.ask("GET", "missing").want(404, "NoSuchKey")
    store.ask("HEAD", "missing").want(404)
    store.ask("DELETE", "missing").want(204)
    store.ask("GET", "missing", query={"uploadId": "missing"}).want(404, "NoSuchUpload")
    store.ask("PUT", "missing", b"x", query={"partNumber": "1", "uploadId": "missing"}).want(404, "NoSuchUpload")
    elsewhere = store.within(f"{store.bucket}-missing")
    elsewhere.ask("GET", "missing").want(404, "NoSuchBucket")
    elsewhere.ask("PUT", "missing", b"x").want(404, "NoSuchBucket")
    elsewhere.ask("GET", query={"list-type": "2"}).want(404, "NoSuchBucket")


def wrong_keys(store: Store) -> None:
    """A wrong secret, an unknown key id and no key at all are 403, for reading as for writing."""
    store.put("k", b"kept")
    wrong = (
        (store.signed_by(store.access_key, "not-the-secret"), "SignatureDoesNotMatch"),
        (store.signed_by(forgeries.UNKNOWN, store.secret_key), "InvalidAccessKeyId"),
    )
    for other, code in wrong:
        other.ask("GET", "k").want(403, code)
        other.ask("PUT", "k", b"x").want(403, code)
        other.ask("DELETE", "k").want(403, code)
    for method in ("GET", "PUT", "DELETE"):
        store.send(method, store.url("k"), b"x" if method == "PUT" else b"").want(403)
    same("the object", store.ask("GET", "k").want(200).body, b"kept")


def presigned_addresses(store: Store) -> None:
    """An address with a right signature reads and writes; altered, for another object or too late it does nothing."""
    store.send("PUT", store.presigned("PUT", "s"), b"signed").want(200)
    right = store.presigned("GET", "s")
    same("the object", store.send("GET", right).want(200).body, b"signed")
    last = "0" if right[-1] != "0" else "1"
    store.send("GET", right[:-1] + last).want(403, "SignatureDoesNotMatch")
    store.put("t", b"other")
    store.send("GET", right.replace("/s?", "/t?")).want(403, "SignatureDoesNotMatch")
    store.send("PUT", right, b"x").want(403, "SignatureDoesNotMatch")
    cut = store.send("GET", right.partition("&X-Amz-Signature=")[0])
    same("an address without its signature refused", cut.status in (400, 403), True)
    store.send("GET", store.presigned("GET", "s", 1, datetime.now(UTC) - timedelta(minutes=1))).want(403)
    same("the object", store.ask("GET", "s").want(200).body, b"signed")


def forged_writes(store: Store) -> None:
    """No request writes by naming a key id alone: as an unsigned trailer, a part or an archive to be unpacked."""
    store.put("f", b"kept")
    upload = begin(store, "f")
    for one in forgeries.forgeries(store, "f", upload):
        answer = one.sent_to(store)
        if not 400 <= answer.status < 500:
            raise Broken(f"{one.name}: a refusal was expected, and {answer.status} {answer.code} came.")
    same("the object", store.ask("GET", "f").want(200).body, b"kept")
    same("parts of the upload", store.ask("GET", "f", query={"uploadId": upload}).want(200).texts("Size"), [])
    same("other objects", store.keys({"prefix": "f"}), ["f"])


def begin(store: Store, key: str) -> str:
    """Begin a multipart upload; its id."""
    return store.ask("POST", key, query={"uploads": ""}).want(200).text("UploadId")


def complete(store: Store, key: str, upload: str, etags: list[str]) -> None:
    """End a multipart upload."""
    parts = "".join(ETAG.format(number, etag) for number, etag in enumerate(etags, 1))
    body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
    answer = store.ask("POST", key, body, query={"uploadId": upload}).want(200)
    # S3 may say 200 before it knows how it ends.
    same("the end of the upload", answer.code, "")


def same(what: str, found: object, wanted: object) -> None:
    """`Broken` where a store says something else than it has to."""
    if found != wanted:
        raise Broken(f"{what}: {_short(wanted)} was expected, and {_short(found)} came.")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


CHECKS: tuple[Callable[[Store], None], ...] = (
    read_after_write,
    list_after_write,
    conditional_put,
    versions_and_markers,
    multipart,
    copies,
    thousand_deletions,
    errors_for_what_is_missing,
    wrong_keys,
    presigned_addresses,
    forged_writes,
)
"""In this order; each in a bucket of its own."""
