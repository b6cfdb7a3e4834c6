"""A balancer: the remote with the most room that is known."""

from plugin_system import BalancerPlugin, PluginMetadata, PluginType


class CustomBalancerPlugin(BalancerPlugin):
    def get_metadata(self):
        return PluginMetadata(
            name="custom_balancer",
            version="1.0.0",
            author="Your Name",
            description="Chooses the remote with the most room",
            plugin_type=PluginType.BALANCER,
        )

    def initialize(self, config):
        self.config = config

    def select_remote(self, remotes, chunk_size):
        favourite = self.config.get("favourite")
        for remote in remotes:
            if remote["name"] == favourite:
                return remote["name"]
        return max(remotes, key=lambda remote: remote["free"] or 0)["name"]
