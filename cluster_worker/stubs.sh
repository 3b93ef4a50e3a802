#!/bin/sh
# Replace libraries that OpenCV is linked to, and that a worker never calls, by empty ones: video
# (FFmpeg), AVIF files, and linear algebra (OpenBLAS). OpenCV does not load without them. A worker
# takes from OpenCV only filters and copies of images (`grep -r cv2 cluster_worker`); a function of a
# replaced library would end the process.
# Run as `stubs.sh /opt/dip`; needs gcc and binutils. It prints the megabytes before and after.
set -eu
packages=$(echo "$1"/lib/python3*/site-packages)
libraries=$packages/opencv_python_headless.libs
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
megabytes() { du -sm --apparent-size "$libraries" | cut -f 1; }
before=$(megabytes)

# What OpenCV asks for: name@VERSION, or name.
nm -D --undefined-only "$packages"/cv2/cv2.abi3.so | awk '{print $2}' | sort >"$work/asked"
for library in "$libraries"/libavcodec-* "$libraries"/libavformat-* "$libraries"/libavutil-* \
    "$libraries"/libswscale-* "$libraries"/libavif-* "$libraries"/libopenblasp-*; do
    nm -D --defined-only "$library" | awk '{print $3}' | sed 's/@@/@/' | sort >"$work/has"
    comm -12 "$work/asked" "$work/has" >"$work/both"
    # A library without versions is asked for names alone.
    sed 's/@.*//' "$work/both" | grep . | sed 's/.*/void &(void) { __builtin_trap(); }/' \
        >"$work/stub.c" || true
    version=$(sed -n 's/.*@//p' "$work/both" | sort -u)
    printf '%s { global: *; };\n' "$version" >"$work/versions"
    gcc -shared -fPIC -fno-builtin -w -Os -s -o "$work/stub.so" "$work/stub.c" \
        -Wl,-soname,"$(basename "$library")" ${version:+-Wl,--version-script="$work/versions"}
    cat "$work/stub.so" >"$library"
done
# What only those needed.
rm -f "$libraries"/libaom-* "$libraries"/libvpx-* "$libraries"/libswresample-* "$libraries"/libdrm-* \
    "$libraries"/libcrypto-* "$libraries"/libssl-* "$libraries"/libgfortran-* \
    "$libraries"/libquadmath-*
echo "$libraries: $before MB before, $(megabytes) MB now"
