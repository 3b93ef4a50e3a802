import { useEffect, useState } from "react";
import { filesIn } from "../../folders";
import { useWork } from "../../state/store";
import { texts } from "../../texts";

/** Adding of files and folders by drop or paste anywhere on the page, with a hint for the drop. */
export function DropArea() {
  const work = useWork();
  const [isOver, setOver] = useState(false);

  useEffect(() => {
    // The browser reports each element that is entered and left, so count them.
    let depth = 0;
    const turn = (by: number) => {
      depth = Math.max(0, depth + by);
      setOver(depth > 0);
    };
    const holdsFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const enter = (event: DragEvent) => {
      if (holdsFiles(event)) turn(1);
    };
    const leave = (event: DragEvent) => {
      if (holdsFiles(event)) turn(-1);
    };
    const over = (event: DragEvent) => {
      if (holdsFiles(event)) event.preventDefault();
    };
    const drop = (event: DragEvent) => {
      if (!holdsFiles(event)) return;
      event.preventDefault();
      turn(-depth);
      if (event.dataTransfer) void take(event.dataTransfer);
    };
    // Only files are taken; text that is pasted into a field goes to the field.
    const paste = (event: ClipboardEvent) => {
      if (!event.clipboardData?.types.includes("Files")) return;
      event.preventDefault();
      void take(event.clipboardData);
    };
    const take = async (transfer: DataTransfer) => {
      const { files, isFolder } = await filesIn(transfer);
      await work.addFiles(files, isFolder);
    };
    window.addEventListener("paste", paste);
    window.addEventListener("dragenter", enter);
    window.addEventListener("dragleave", leave);
    window.addEventListener("dragover", over);
    window.addEventListener("drop", drop);
    return () => {
      window.removeEventListener("paste", paste);
      window.removeEventListener("dragenter", enter);
      window.removeEventListener("dragleave", leave);
      window.removeEventListener("dragover", over);
      window.removeEventListener("drop", drop);
    };
  }, [work]);

  return isOver ? (
    <div className="dropping" aria-hidden="true">
      <p>{texts.images.dropping}</p>
    </div>
  ) : null;
}
