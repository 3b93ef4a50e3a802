interface ProgressProps {
  readonly label: string;
  readonly value: number;
  /** 0 when it is not known yet how much there is to do. */
  readonly most: number;
}

export function Progress({ label, value, most }: ProgressProps) {
  if (most <= 0) return <progress aria-label={label} />;
  return <progress aria-label={label} value={Math.min(value, most)} max={most} />;
}
