"""The bill of materials of a package (CycloneDX 1.6), from what is really in it."""

from email.parser import HeaderParser
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model.bom import Bom as _Bom
from cyclonedx.model.component import Component as _Component
from cyclonedx.model.component import ComponentType
from cyclonedx.model.license import DisjunctiveLicense as _Licence
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

Bom: Any = _Bom
Component: Any = _Component
Licence: Any = _Licence
"""Their decorators hide their types."""


def bill_of_materials(name: str, version: str, site: Path) -> str:
    """Of the distributions in `site`; the same ones make the same text."""
    bom = Bom(serial_number=uuid5(NAMESPACE_URL, f"pkg:deb/{name}@{version}"))
    bom.metadata.timestamp = None
    whole = bom.metadata.component = Component(name=name, version=version, type=ComponentType.APPLICATION)
    for info in sorted(site.glob("*.dist-info")):
        headers = HeaderParser().parsestr((info / "METADATA").read_text(encoding="utf-8"))
        found, its_version = headers["Name"], headers["Version"]
        licence = headers["License-Expression"] or headers["License"] or ""
        bom.components.add(
            Component(
                name=found,
                version=its_version,
                type=ComponentType.LIBRARY,
                purl=PackageURL("pypi", name=found.lower(), version=its_version),
                licenses=[Licence(name=licence.splitlines()[0])] if licence else [],
            )
        )
    bom.register_dependency(whole, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=1)
