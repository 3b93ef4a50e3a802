import { counted, size } from "../formats";
import { useSelected } from "../state/store";

/** What people ask before they trust a page with their images; a text of its own, since few read it. */
export function AboutText() {
  const { limits } = useSelected((state) => state.catalogue);
  const most = Number.isFinite(limits.upload_bytes_max)
    ? `${counted(limits.batch_jobs_max, "image")} at once, of at most ${size(limits.upload_bytes_max)} each, a TIFF of at most ${size(limits.streamed_bytes_max)}`
    : "";
  return (
    <div className="about-text" tabIndex={0} role="group" data-first>
      <h3>Help</h3>
      <p>
        Add images, then filters; what you set is done to all of them. A question mark beside a
        filter or a field says what it means, and the key ? lists all keys. Numbers are those of
        scikit-image, in Python: “Recipe” copies the same chain as a script or a command.
      </p>
      <h3>Limits</h3>
      <p>
        {most && `${most}. `}A day's use may be limited for each visitor; then the page says when to
        go on.
      </p>
      <h3>Privacy</h3>
      <ul>
        <li>
          While you set filters, a small copy of the selected image, or the piece that you look at,
          is sent for the preview. Of formats that browsers cannot show, files of up to 3 MB are
          sent, too. All this is kept in memory only.
        </li>
        <li>Everything else is sent when you press “Process”, and not before.</li>
        <li>
          Files and results are deleted after some days, and at once with “Delete now”. Until then
          whoever has the full address of this page can see them.
        </li>
        <li>
          This browser keeps your recipes, settings, and a list of your recent batches. There are no
          cookies and no trackers.
        </li>
      </ul>
      <h3>For programs</h3>
      <p>
        All that the page does can be done by <a href="/api/">the API</a>, which is described with
        an example that runs.
      </p>
    </div>
  );
}
