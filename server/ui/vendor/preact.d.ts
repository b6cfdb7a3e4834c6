// What the page uses of htm/preact/standalone.
export function html(strings: TemplateStringsArray, ...values: any[]): any;
export function render(view: any, parent: Element): void;
export function useState<T>(value: T | (() => T)): [T, (next: T | ((before: T) => T)) => void];
export function useEffect(effect: () => any, inputs?: any[]): void;
export function useLayoutEffect(effect: () => any, inputs?: any[]): void;
export function useRef<T>(value: T): { current: T };
export function useMemo<T>(make: () => T, inputs: any[]): T;
export function useCallback<T extends Function>(callback: T, inputs: any[]): T;
