#!/usr/bin/python3
"""Writes format-samples.json: what real programs put at the beginning of files of many formats.

Run by hand when a format is added; the tests read the JSON only. Needs, on Debian: ffmpeg sox imagemagick gdal-bin
qemu-utils genisoimage sqlite3 python3-pydicom python3-nibabel python3-scipy python3-h5py python3-netcdf4
python3-tifffile python3-pil. A program that is missing costs its formats, and what is known of them is kept.
"""

import base64
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

OUT = pathlib.Path(__file__).with_name("format-samples.json")
work = pathlib.Path(tempfile.mkdtemp())
known = json.loads(OUT.read_text()) if OUT.exists() else {}
# How much of the beginning is kept, where it is more than this.
HEAD = 64
LONGER = {"ts": 1200, "m2ts": 1200, "aac": 1500, "loas.aac": 1500, "mp3": 1300, "mp2": 1300, "v7.mat": 600}
LONGER |= dict.fromkeys(["tar", "ova"], 512)
LONGER |= dict.fromkeys("nii dcm mat ome.tif dbf vdi".split(), 384)
# Marks further inside, or from the end: offset and length.
INSIDE = {"iso": [(32768, 8)], "fixed.vhd": [(-512, 16)]}

SOUND = ["-f", "lavfi", "-i", "sine=duration=1"]
PICTURE = ["-f", "lavfi", "-i", "testsrc=size=64x64:rate=25:duration=0.2"]
DV = ["-f", "lavfi", "-i", "testsrc=size=720x576:rate=25:duration=0.1", "-pix_fmt", "yuv420p"]


def keep(name, program, path=None):
    path = path or work / name
    if not path.exists() or path.stat().st_size == 0:
        return print("none:", name, file=sys.stderr)
    content = path.read_bytes()
    extension = name.split(".", 1)[1]
    head = content[: LONGER.get(extension, HEAD)]
    known[name] = {"program": program, "length": len(content), "head": base64.b64encode(head).decode()}
    marks = [(at % len(content), length) for at, length in INSIDE.get(extension, [])]
    if marks:
        known[name]["inside"] = {at: base64.b64encode(content[at : at + length]).decode() for at, length in marks}
    path.unlink()


def run(program, *parameters):
    return subprocess.run([program, *map(str, parameters)], cwd=work, capture_output=True, check=False).returncode == 0


def ffmpeg(name, source, *parameters):
    run("ffmpeg", "-y", "-loglevel", "error", *source, *parameters, work / name)
    keep(name, "FFmpeg")


for extension in "avi mkv webm mov mp4 m4v 3gp 3g2 flv ogv asf wmv mpg vob m2v m1v ts m2ts mxf gxf ivf y4m wtv rm h264 hevc".split():
    extra = {
        "3gp": ["-vcodec", "h263", "-s", "176x144"], "3g2": ["-vcodec", "h263", "-s", "176x144"],
        "m4v": ["-vcodec", "mpeg4"], "mxf": ["-vcodec", "mpeg2video"], "gxf": ["-vcodec", "mpeg2video", "-s", "720x576"],
        "ivf": ["-vcodec", "libvpx"], "y4m": ["-pix_fmt", "yuv420p"], "wtv": ["-vcodec", "mpeg2video"], "m1v": ["-vcodec", "mpeg1video"],
    }.get(extension, [])
    ffmpeg(f"ffmpeg.{extension}", PICTURE, *extra)
ffmpeg("raw.m4v", PICTURE, "-vcodec", "mpeg4", "-f", "m4v")
ffmpeg("opatom.mxf", DV, "-vcodec", "dnxhd", "-b:v", "36M", "-s", "1920x1080", "-pix_fmt", "yuv422p", "-f", "mxf_opatom")
ffmpeg("ffmpeg.dv", DV)
ffmpeg("ffmpeg.exr", PICTURE, "-frames:v", "1")
ffmpeg("fragment.mp4", PICTURE, "-movflags", "frag_keyframe+empty_moov+default_base_moof")
ffmpeg("vcd.mpg", PICTURE, "-target", "pal-vcd")
ffmpeg("svcd.mpg", PICTURE, "-target", "pal-svcd")
for extension in "mp3 mp2 wav flac ogg oga opus spx m4a aac aif aiff aifc wma amr caf mka weba ac3 eac3 dts mlp thd w64 au wv tta rf64.wav".split():
    extra = {
        "weba": ["-acodec", "libopus", "-f", "webm"], "amr": ["-ar", "8000", "-ac", "1"], "dts": ["-strict", "-2"],
        "mlp": ["-strict", "-2"], "thd": ["-strict", "-2", "-f", "truehd"], "rf64.wav": ["-rf64", "always"], "aifc": ["-f", "aiff", "-acodec", "pcm_s16le"],
        "spx": ["-acodec", "libspeex"], "oga": ["-acodec", "flac"],
    }.get(extension, [])
    ffmpeg(f"ffmpeg.{extension}", SOUND, *extra)
ffmpeg("loas.aac", SOUND, "-f", "latm")
ffmpeg("subtitles.ass", ["-f", "srt", "-i", "data:,1%0A00:00:00,000%20--%3E%2000:00:01,000%0AHello%0A"])
for extension in "wav flac aiff aifc au amr-nb.amr sph w64 caf ogg mp3".split():
    target = {"sph": "sphere.wav"}.get(extension, f"sox.{extension}")
    kind = ["-t", "sph"] if extension == "sph" else ["-t", "amr-nb"] if extension.startswith("amr") else []
    run("sox", "-n", "-r", "8000", "-c", "1", "-b", "16", *kind, target, "synth", "0.3", "sine", "440")
    keep(target, "SoX")
for extension in "jpg png gif bmp tif webp avif heic jp2 j2k psd psb hdr dpx cin".split():
    run("convert", "rose:", *(["-depth", "10"] if extension in ("dpx", "cin") else []), f"magick.{extension}")
    keep(f"magick.{extension}", "ImageMagick")
run("convert", "rose:", "-endian", "MSB", "big.tif")
keep("big.tif", "ImageMagick")
run("convert", "rose:", "tiff64:bigtiff.tif")
keep("bigtiff.tif", "ImageMagick")
for name, driver in {"grid.nc": "netCDF", "grid.nc4": "netCDF", "grid.grib2": "GRIB", "grid.fits": "FITS", "grid.hdf": "HDF4Image",
                     "grid.mbtiles": "MBTiles", "grid.gpkg": "GPKG", "grid.jp2": "JP2OpenJPEG", "grid.tif": "GTiff"}.items():
    run("gdal_create", "-outsize", "8", "8", "-bands", "1", "-burn", "1", "-a_srs", "EPSG:4326", "-a_ullr", "0", "8", "8", "0", "source.tif")
    run("gdal_translate", "-q", "-of", driver, *(["-co", "FORMAT=NC4"] if name.endswith("nc4") else []), "source.tif", name)
    keep(name, "GDAL")
(work / "points.csv").write_text("x,y,name\n1,2,a\n3,4,b\n")
for extension, driver in {"shp": "ESRI Shapefile", "fgb": "FlatGeobuf", "dxf": "DXF", "parquet": "Parquet", "arrow": "Arrow", "pmtiles": "PMTiles"}.items():
    run("ogr2ogr", "-f", driver, f"points.{extension}", "points.csv", "-oo", "X_POSSIBLE_NAMES=x", "-oo", "Y_POSSIBLE_NAMES=y", "-a_srs", "EPSG:4326",
        *(["-lco", "SPATIAL_INDEX=YES"] if extension == "shp" else []))
    keep(f"points.{extension}", "GDAL")
for companion in "shx dbf prj cpg qix".split():
    keep(f"points.{companion}", "GDAL")
run("sqlite3", "rows.sqlite", "create table t (a); insert into t values (1)")
keep("rows.sqlite", "SQLite")
for extension, form in {"qcow2": "qcow2", "vdi": "vdi", "vhdx": "vhdx", "vhd": "vpc", "vmdk": "vmdk", "img": "raw"}.items():
    run("qemu-img", "create", "-q", "-f", form, f"disk.{extension}", "1M")
    keep(f"disk.{extension}", "QEMU")
run("qemu-img", "create", "-q", "-f", "vpc", "-o", "subformat=fixed", "disk.fixed.vhd", "1M")
keep("disk.fixed.vhd", "QEMU")
(work / "content").mkdir()
(work / "content" / "a.txt").write_text("hello")
run("tar", "--format=ustar", "-cf", "machine.ova", "content")
keep("machine.ova", "tar")
for name in ("MZ", "BMW", "GIF", "CWS", "ID3"):
    (work / name).mkdir()
    (work / name / "a.txt").write_text("hello")
    run("tar", "-cf", f"{name}.tar", name)
    keep(f"{name}.tar", "tar")


def by_python(name, program, write):
    try:
        write(str(work / name))
    except Exception as error:  # noqa: BLE001 - a library that is missing or cannot
        print(name, error, file=sys.stderr)
    keep(name, program)


def dicom(preamble, with_meta=True):
    def write(path):
        import pydicom
        from pydicom.dataset import FileDataset, FileMetaDataset
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        meta.MediaStorageSOPInstanceUID = "1.2.3"
        meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        dataset = FileDataset(path, {}, file_meta=meta if with_meta else None, preamble=preamble)
        dataset.is_little_endian, dataset.is_implicit_VR = True, True
        dataset.SpecificCharacterSet, dataset.PatientName, dataset.Modality = "ISO_IR 100", "Test^One", "CT"
        dataset.save_as(path, write_like_original=not with_meta)
    return write


by_python("plain.dcm", "pydicom", dicom(bytes(128)))
by_python("tiff.dcm", "pydicom", dicom(b"II*\0\x08\0\0\0" + bytes(120)))
by_python("bare.dcm", "pydicom", dicom(None, with_meta=False))


def nifti(kind, path):
    import nibabel, numpy
    nibabel.save(getattr(nibabel, kind)(numpy.zeros((2, 2, 2), "uint8"), numpy.eye(4)), path)


by_python("one.nii", "nibabel", lambda path: nifti("Nifti1Image", path))
by_python("two.nii", "nibabel", lambda path: nifti("Nifti2Image", path))
by_python("brain.mgh", "nibabel", lambda path: nifti("MGHImage", path))


def tracks(path):
    import nibabel, numpy
    nibabel.streamlines.save(nibabel.streamlines.Tractogram([numpy.zeros((2, 3), "f4")], affine_to_rasmm=numpy.eye(4)), path)


by_python("lines.trk", "nibabel", tracks)
by_python("lines.tck", "nibabel", tracks)


def matlab(form):
    def write(path):
        import numpy, scipy.io
        scipy.io.savemat(path, {"grid": numpy.zeros((2, 2))}, format=form)
    return write


by_python("v4.mat", "SciPy", matlab("4"))
by_python("v5.mat", "SciPy", matlab("5"))


def hdf5(block):
    def write(path):
        import h5py
        with h5py.File(path, "w", userblock_size=block) as file:
            file["a"] = [1, 2, 3]
        if block:
            with open(path, "r+b") as file:
                file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\0\x02IM")
    return write


by_python("grid.h5", "h5py", hdf5(0))
by_python("block.v7.mat", "h5py", hdf5(512))


def arrays(path):
    import numpy
    (numpy.save if path.endswith("npy") else numpy.savez)(path, numpy.zeros(3))


by_python("array.npy", "NumPy", arrays)


def pages(**options):
    def write(path):
        import numpy, tifffile
        tifffile.imwrite(path, numpy.zeros((2, 16, 16), "uint8"), **options)
    return write


by_python("stack.ome.tif", "tifffile", pages(ome=True))
by_python("big.svs", "tifffile", pages(bigtiff=True))
by_python("stack.tif", "tifffile", pages(imagej=True))


def cd(path):
    run("genisoimage", "-quiet", "-udf", "-o", path, "content")


by_python("disc.iso", "genisoimage", cd)

OUT.write_text(json.dumps(dict(sorted(known.items())), indent=1) + "\n")
shutil.rmtree(work)
print(len(known), "samples,", OUT.stat().st_size, "bytes")
