interface ProgressProps {
  readonly label: string;
  readonly value: number;
  /** The final value; 0 while it is unknown. */
  readonly most: number;
}

export function Progress({ label, value, most }: ProgressProps) {
  if (most <= 0) return <progress aria-label={label} />;
  return <progress aria-label={label} value={Math.min(value, most)} max={most} />;
}
