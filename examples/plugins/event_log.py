"""An event handler: writes what happens to a file, and refuses to store or delete what its configuration protects."""

import json
from pathlib import Path

from plugin_system import EventHandlerPlugin, PluginHook, PluginMetadata, PluginType


class EventLog(EventHandlerPlugin):
    def get_metadata(self):
        return PluginMetadata(
            name="event_log",
            version="1.0",
            description="Appends a line of JSON for each event to a file",
            plugin_type=PluginType.EVENT_HANDLER,
        )

    def initialize(self, config):
        self.file = Path(config["file"]).open("a", buffering=1)  # noqa: SIM115 - until shutdown
        self.protected = config.get("protected", [])

    def get_hooks(self):
        return list(PluginHook)

    def handle_event(self, hook, data):
        if hook in (PluginHook.PRE_UPLOAD, PluginHook.PRE_DOWNLOAD, PluginHook.PRE_DELETE):
            for path in self.protected:
                if data["path"].startswith(path):
                    raise PermissionError(f"{path} is protected")
        self.file.write(json.dumps({"hook": hook.value, **data}) + "\n")

    def shutdown(self):
        self.file.close()
