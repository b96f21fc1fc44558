"""GRPO with the context-awareness loss, the paper's controls, the selection probe and their comparison.

Knows only an exported dataset. Nothing here is imported before it is needed: the config modules are free of torch.
"""
