"""moto's server: Route 53's API as the SDK knows it, with its records in memory. It answers no DNS."""

from __future__ import annotations

import functools
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any, Self

from tests.integration.servers.process import ServerProcess, accepts, free_port

_REGION = "us-east-1"


class Moto:
    """One moto with no zones at first. ``environ`` is what a program that uses it by the SDK needs."""

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="acmectl-moto-")
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = ServerProcess(
            "moto",
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            log=Path(self._folder.name) / "log",
        )
        self.process.start(lambda: accepts(self.port))
        return self

    def __exit__(self, *_exc: object) -> None:
        self.process.stop()
        self._folder.cleanup()

    @property
    def environ(self) -> dict[str, str]:
        """Variables of the SDK: where Route 53 is, a key pair, and no question to the machine about its role."""
        return {
            "AWS_ENDPOINT_URL_ROUTE_53": self.url,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def clear(self) -> None:
        """Forget all zones."""
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")):
            pass

    @functools.cached_property
    def client(self) -> Any:
        """The SDK's client, for the test itself."""
        import boto3

        return boto3.client(
            "route53",
            region_name=_REGION,
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def zone(self, name: str, *, private: bool = False) -> str:
        """Make a zone; its key."""
        network: dict[str, Any] = {"VPC": {"VPCRegion": _REGION, "VPCId": "vpc-1"}} if private else {}
        made = self.client.create_hosted_zone(
            Name=name,
            CallerReference=f"{name} {private} {len(self.zones())}",
            HostedZoneConfig={"PrivateZone": private, "Comment": ""},
            **network,
        )
        return str(made["HostedZone"]["Id"]).removeprefix("/hostedzone/")

    def zones(self) -> list[str]:
        """The keys of all zones."""
        pages = self.client.get_paginator("list_hosted_zones").paginate()
        return [zone["Id"] for page in pages for zone in page["HostedZones"]]

    def put(self, zone: str, kind: str, values: list[str], *names: str, ttl: int = 300) -> None:
        """Set the values of one kind under each of ``names``, as zone files write them."""
        records = {"Type": kind, "TTL": ttl, "ResourceRecords": [{"Value": value} for value in values]}
        changes = [{"Action": "UPSERT", "ResourceRecordSet": {"Name": name, **records}} for name in names]
        self.client.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})

    def records(self, zone: str) -> dict[tuple[str, str], tuple[int, list[str]]]:
        """(name without dot, type) -> TTL and values of all records but those that each zone begins with."""
        pages = self.client.get_paginator("list_resource_record_sets").paginate(HostedZoneId=zone)
        return {
            (one["Name"].rstrip("."), one["Type"]): (one["TTL"], [value["Value"] for value in one["ResourceRecords"]])
            for page in pages
            for one in page["ResourceRecordSets"]
            if one["Type"] not in ("NS", "SOA")
        }
