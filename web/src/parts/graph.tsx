/** Jobs as a graph, laid out from left to right or downwards, whichever can be drawn larger. */

import dagre from "@dagrejs/dagre";
import { Background, Controls, Handle, MarkerType, Position, ReactFlow, type Connection, type Edge, type Node, type NodeProps, type ReactFlowInstance } from "@xyflow/react";
import "@xyflow/react/dist/style.css";
import { memo, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { GraphJob } from "../lib/graph-of";
import { Status } from "./basic";

const WIDTH = 190;
const HEIGHT = 58;

type JobNode = Node<{ job: GraphJob; down: boolean }, "job">;

const JobBox = memo(function JobBox({ data, selected }: NodeProps<JobNode>) {
  const { job, down } = data;
  return (
    <div className={`job-box ${job.status ? job.status.toLowerCase() : ""} ${job.wrong ? "failed" : ""} ${selected ? "picked" : ""}`}>
      <Handle type="target" position={down ? Position.Top : Position.Left} />
      <div className="job-name" title={job.id}>{job.id}</div>
      <div className="row tight">
        {job.wrong ? <Status value="error" label="needs a change" /> : job.status ? <Status value={job.status} /> : <span className="muted">{job.kind}</span>}
        {job.note && <span className="muted">{job.note}</span>}
      </div>
      <Handle type="source" position={down ? Position.Bottom : Position.Right} />
    </div>
  );
});
const nodeTypes = { job: JobBox };

interface GraphProps {
  jobs: GraphJob[];
  picked?: string | undefined;
  onPick?: (id: string) => void;
  onConnect?: (from: string, to: string) => void;
  onDisconnect?: (from: string, to: string) => void;
  height?: number;
  label: string;
}

export default function Graph({ jobs, picked, onPick, onConnect, onDisconnect, height = 380, label }: GraphProps) {
  const shape = jobs.map((job) => `${job.id}<${job.needs.join(",")}`).join(";");
  const box = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => setWidth(box.current?.clientWidth ?? 0), []);
  const { places, down } = useMemo(() => (width ? best(jobs, width, height) : NOWHERE), [shape, width, height]);
  const flow = useRef<ReactFlowInstance<JobNode>>(null);
  useEffect(() => {
    // The nodes have their new places in the next frame.
    const frame = window.requestAnimationFrame(() => void flow.current?.fitView(FIT));
    return () => window.cancelAnimationFrame(frame);
  }, [places]);
  const nodes: JobNode[] = jobs.map((job) => ({
    id: job.id,
    type: "job",
    position: places.get(job.id) ?? { x: 0, y: 0 },
    data: { job, down },
    selected: job.id === picked,
    width: WIDTH,
    height: HEIGHT,
    draggable: false,
    ariaLabel: `job ${job.id}${job.status ? `, ${job.status.toLowerCase()}` : ""}${job.wrong ? ", needs a change" : ""}`,
  }));
  const known = new Set(jobs.map((job) => job.id));
  const edges: Edge[] = jobs.flatMap((job) =>
    job.needs.filter((need) => known.has(need)).map((need) => ({
      id: `${need}→${job.id}`,
      source: need,
      target: job.id,
      markerEnd: { type: MarkerType.ArrowClosed },
      ariaLabel: `${job.id} needs ${need}`,
      ...(job.conditions[need] ? { label: job.conditions[need].replaceAll("_", " ") } : {}),
    })),
  );
  return (
    <div ref={box} className={onConnect ? "graph drawable" : "graph"} role="group" aria-label={label} style={{ height }}>
      {width > 0 && <ReactFlow
        nodes={nodes}
        edges={edges}
        nodeTypes={nodeTypes}
        fitView
        fitViewOptions={FIT}
        onInit={(made) => { flow.current = made; }}
        minZoom={0.05}
        onlyRenderVisibleElements={jobs.length > MANY}
        nodesDraggable={false}
        nodesConnectable={onConnect !== undefined}
        edgesFocusable={onDisconnect !== undefined}
        deleteKeyCode={onDisconnect ? ["Backspace", "Delete"] : null}
        proOptions={{ hideAttribution: true }}
        onNodeClick={(_, node) => onPick?.(node.id)}
        onConnect={(made: Connection) => onConnect?.(made.source, made.target)}
        onEdgesDelete={(gone) => gone.forEach((one) => onDisconnect?.(one.source, one.target))}
      >
        <Background gap={18} />
        <Controls showInteractive={false} />
      </ReactFlow>}
    </div>
  );
}

interface Layout {
  places: Map<string, { x: number; y: number }>;
  down: boolean;
  scale: number;
}

const FIT = { maxZoom: 1, padding: 0.12 };
const NOWHERE: Layout = { places: new Map(), down: false, scale: 1 };
const MANY = 150;

function best(jobs: GraphJob[], width: number, height: number): Layout {
  const across = layout(jobs, false, width, height);
  if (across.scale >= 1 || jobs.length > MANY) return across;
  const downwards = layout(jobs, true, width, height);
  return downwards.scale > across.scale ? downwards : across;
}

function layout(jobs: GraphJob[], down: boolean, width: number, height: number): Layout {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: down ? "TB" : "LR", nodesep: 18, ranksep: down ? 34 : 56 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const job of jobs) graph.setNode(job.id, { width: WIDTH, height: HEIGHT });
  for (const job of jobs) for (const need of job.needs) if (graph.hasNode(need)) graph.setEdge(need, job.id);
  dagre.layout(graph);
  const places = new Map(
    jobs.map((job) => {
      const { x, y } = graph.node(job.id);
      return [job.id, { x: x - WIDTH / 2, y: y - HEIGHT / 2 }];
    }),
  );
  const whole = graph.graph() as { width?: number; height?: number };
  return { places, down, scale: Math.min(1, width / ((whole.width ?? 0) + 60), height / ((whole.height ?? 0) + 60)) };
}
