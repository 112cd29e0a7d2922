"""The machines: lab containers made here, or hosts that are there already."""

from components.nodes.args import NodesArgs
from components.nodes.component import Nodes
from components.nodes.node import Node

__all__ = ["Node", "Nodes", "NodesArgs"]
