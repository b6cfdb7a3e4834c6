"""A transformer: every byte as the difference to the one before, which makes recordings easier to compress."""

from plugin_system import PluginMetadata, PluginType, TransformerPlugin


class Delta(TransformerPlugin):
    def get_metadata(self):
        return PluginMetadata(
            name="delta",
            version="1.0",
            description="Differences of neighbouring bytes",
            plugin_type=PluginType.TRANSFORMER,
        )

    def transform(self, data):
        return bytes((b - a) & 255 for a, b in zip(b"\0" + data[:-1], data, strict=True))

    def restore(self, data):
        out, last = bytearray(len(data)), 0
        for at, difference in enumerate(data):
            last = out[at] = (last + difference) & 255
        return bytes(out)
