"""What is known of a file that was read: enough to tell that it was written afterwards."""

from __future__ import annotations

from pathlib import Path

from indexer.photos.content import read_content


def test_a_photo_written_right_after_it_was_read_has_other_facts(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    for turn in range(6):  # the clock of the times may be about to tick, or not
        path.write_bytes(b"%d" % turn)
        content = read_content(str(path))
        assert content is not None
        identity, stream = content
        stream.close()
        path.write_bytes(b"%d" % (9 - turn))  # as many bytes, in the same moment
        facts = path.stat()
        assert facts.st_ctime_ns > identity.ctime_ns
