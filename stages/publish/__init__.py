"""Put an exported dataset on the Hugging Face Hub: checked for damage, licences and secrets first, and only then sent."""

from contextrl_data.stages.publish.command import Outcome, Request, publish

__all__ = ["Outcome", "Request", "publish"]
