"""Translate a store's settings for qdrant-client: quantization and payload indexes."""

from __future__ import annotations

from collections.abc import Mapping

from qdrant_client import models

from indexer.fields import FieldType
from indexer.server.layout import Quantization

_SCHEMA: Mapping[FieldType, models.PayloadSchemaType] = {
    "keyword": models.PayloadSchemaType.KEYWORD,
    "integer": models.PayloadSchemaType.INTEGER,
    "float": models.PayloadSchemaType.FLOAT,
    "geo": models.PayloadSchemaType.GEO,
}
_TURBO_BITS: Mapping[Quantization, models.TurboQuantBitSize] = {
    "turbo8": models.TurboQuantBitSize.BITS8,
    "turbo4": models.TurboQuantBitSize.BITS4,
}


def index_schema(type_: FieldType) -> models.PayloadSchemaType:
    """The index of a payload field."""
    return _SCHEMA[type_]


def quantization_config(quantization: Quantization) -> models.QuantizationConfig | None:
    """The quantization config of a collection, with codes in memory; None for none."""
    match quantization:
        case "none":
            return None
        case "int8":
            return models.ScalarQuantization(
                scalar=models.ScalarQuantizationConfig(
                    type=models.ScalarType.INT8, quantile=0.99, always_ram=True
                )
            )
        case "binary":
            # The query keeps 8 bits: one-bit codes on both sides lose too much.
            return models.BinaryQuantization(
                binary=models.BinaryQuantizationConfig(
                    always_ram=True,
                    query_encoding=models.BinaryQuantizationQueryEncoding.SCALAR8BITS,
                )
            )
        case _:
            return models.TurboQuantization(
                turbo=models.TurboQuantQuantizationConfig(
                    always_ram=True, bits=_TURBO_BITS[quantization]
                )
            )


def search_params(oversampling: float | None) -> models.SearchParams | None:
    """Search by codes and rescore with the vectors; None without codes."""
    if oversampling is None:
        return None
    codes = models.QuantizationSearchParams(rescore=True, oversampling=oversampling)
    return models.SearchParams(quantization=codes)
