"""The reference implementation's client, on a folder: prints what it believes, or the error that it refuses with.

usage: ngclient.py ROOT METADATA TARGETS STATE
"""

import pathlib
import sys

from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import Updater
from tuf.ngclient.fetcher import FetcherInterface


class Folder(FetcherInterface):
    """Reads `folder:PATH` as a server's answer."""

    def _fetch(self, url):
        path = pathlib.Path(url.removeprefix("folder:"))
        if not path.is_file():
            raise DownloadHTTPError(f"{path} is not there", 404)
        return iter([path.read_bytes()])


def main():
    root, metadata, targets, state = (pathlib.Path(argument) for argument in sys.argv[1:])
    (state / "targets").mkdir(parents=True, exist_ok=True)
    updater = Updater(
        metadata_dir=str(state),
        metadata_base_url=f"folder:{metadata}/",
        target_dir=str(state / "targets"),
        target_base_url=f"folder:{targets}/",
        fetcher=Folder(),
        bootstrap=root.read_bytes(),
    )
    try:
        updater.refresh()
        names = sorted(updater._trusted_set.targets.targets)
        for name in names:
            info = updater.get_targetinfo(name)
            updater.download_target(info)
            print(name, info.hashes["sha256"], info.length, info.custom["flota"]["version"])
    except Exception as error:  # the test wants to know which
        print(type(error).__name__)
        sys.exit(1)


main()
