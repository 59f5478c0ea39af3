/** What pages ask of the service, and the state that their addresses hold. */

import { useInfiniteQuery, useMutation, useQuery, useQueryClient, type UseQueryResult } from "@tanstack/react-query";
import { useEffect, useSyncExternalStore } from "react";
import { useLocation, useSearch } from "wouter";
import { get, send, url, type Problem, type Query, type Sending } from "./api";
import type { Page } from "./types";

/** One document; null as path asks nothing. `again` says after how many milliseconds it is asked for once more. */
export function useGet<T>(path: string | null, query: Query = {}, again?: number | ((value: T | undefined) => number | false)): UseQueryResult<T, Problem> {
  const target = path === null ? "" : url(path, query);
  return useQuery<T, Problem>({
    queryKey: [target],
    queryFn: ({ signal }) => get<T>(target, signal),
    enabled: path !== null,
    ...(again ? { refetchInterval: typeof again === "number" ? again : (asked) => again(asked.state.data) } : {}),
  });
}

/** A list, page after page. */
export function usePages<T>(path: string, query: Query = {}, size = 100) {
  const target = url(path, { ...query, limit: size });
  return useInfiniteQuery<Page<T>, Problem, T[], [string, string], string | null>({
    queryKey: [target, "pages"],
    queryFn: ({ signal, pageParam }) => get<Page<T>>(url(path, { ...query, limit: size, cursor: pageParam }), signal),
    initialPageParam: null,
    getNextPageParam: (page) => page.next,
    select: (data) => data.pages.flatMap((page) => page.items),
  });
}

export interface Ask extends Sending {
  path: string;
}

/** A write; it is under way until what it may have changed is loaded anew, so that nobody acts on what was before. */
export function useSend<T = unknown>(done?: (value: T) => void) {
  const client = useQueryClient();
  return useMutation<T, Problem, Ask>({
    mutationFn: ({ path, ...sending }) => send<T>(path, sending),
    onSuccess: async (value) => {
      await client.invalidateQueries();
      done?.(value);
    },
  });
}

/** Filters that the address of the page holds. */
export function useFilters<K extends string>(names: readonly K[]): [Record<K, string>, (change: Partial<Record<K, string>>) => void] {
  const search = useSearch();
  const [path, navigate] = useLocation();
  const held = new URLSearchParams(search);
  const values = Object.fromEntries(names.map((name) => [name, held.get(name) ?? ""])) as Record<K, string>;
  function change(next: Partial<Record<K, string>>): void {
    for (const [name, value] of Object.entries(next) as [K, string][]) {
      if (value) held.set(name, value);
      else held.delete(name);
    }
    navigate(held.size ? `${path}?${held.toString()}` : path, { replace: true });
  }
  return [values, change];
}

export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title ? `${title} · Workflow Scheduler` : "Workflow Scheduler";
  }, [title]);
}

let now = Date.now();
const tickers = new Set<() => void>();
window.setInterval(() => {
  now = Date.now();
  for (const ticker of tickers) ticker();
}, 1000);

/** The time of this browser, once a second. */
export function useNow(): number {
  return useSyncExternalStore(
    (ticker) => {
      tickers.add(ticker);
      return () => tickers.delete(ticker);
    },
    () => now,
  );
}
