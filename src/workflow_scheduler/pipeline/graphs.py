"""Compiled workflow versions, kept in a bounded cache: a version never changes, so an entry never goes stale."""

from __future__ import annotations

from collections.abc import Callable

from workflow_scheduler.core.dag.graph import Graph
from workflow_scheduler.core.errors import DefinitionInvalid, NotFound, SchedulerError
from workflow_scheduler.core.model.workflow import Definition
from workflow_scheduler.core.ports.catalog import Catalog

CACHED_GRAPHS_MAX = 5000
_Key = tuple[str, str, int]


class GraphCache:
    """Gives the compiled graph of a workflow version."""

    def __init__(self, catalog: Catalog, compile_graph: Callable[[Definition], Graph]) -> None:
        """Read definitions through `catalog`."""
        self._catalog = catalog
        self._compile = compile_graph
        self._graphs: dict[_Key, Graph] = {}

    def cached(self, tenant_id: str, workflow_id: str, version: int) -> Graph | None:
        """Return the graph when it is in memory."""
        return self._graphs.get((tenant_id, workflow_id, version))

    async def find(self, tenant_id: str, workflow_id: str, version: int) -> Graph:
        """Return the graph, reading and compiling it on first use.

        Raises:
            NotFound: no such version is stored.
            DefinitionInvalid: the stored definition no longer compiles (a job type was removed, for example).

        """
        key = (tenant_id, workflow_id, version)
        graph = self._graphs.get(key)
        if graph is None:
            graph = await self.read(*key)
            while len(self._graphs) >= CACHED_GRAPHS_MAX:
                self._graphs.pop(next(iter(self._graphs)))
            self._graphs[key] = graph
        return graph

    async def read(self, tenant_id: str, workflow_id: str, version: int) -> Graph:
        """Return the graph as it is stored, without keeping it; errors as in `find`."""
        definition = await self._catalog.definition(tenant_id, workflow_id, version)
        if definition is None:
            raise NotFound(f"Workflow {workflow_id} has no version {version}.")
        try:
            return self._compile(definition)
        except SchedulerError:
            raise
        except Exception as error:
            message = f"Version {version} of workflow {workflow_id} does not compile: {type(error).__name__}: {error}"
            raise DefinitionInvalid(message) from error
