/**
 * The bytes that content of each media type begins with, by the specification of the format. The type of the name is tested first; other
 * types matter only when it does not match.
 */
import { readsAs } from './structures.ts';

/** Latin-1 characters at the start, or at an offset (from the end if it is negative); `?` stands for any byte. */
type Signature = string | readonly [at: number, bytes: string];

/** In either byte order, each also as BigTIFF. */
export const TIFF: readonly string[] = ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'];
const HDF5_START = '\x89HDF\r\n\x1a\n';
/** Anything may come before: 512 bytes, or 512 times a power of two. */
const HDF5: readonly Signature[] = [HDF5_START, ...[512, 1024, 2048].map((at) => [at, HDF5_START] as const)];
const EBML = '\x1aE\xdf\xa3';
const ASF = '\x30\x26\xb2\x75\x8e\x66\xcf\x11';
const JPEG_2000 = '\0\0\0\x0cjP  \r\n\x87\n';
const PCAP = ['\xd4\xc3\xb2\xa1', '\xa1\xb2\xc3\xd4', '\x4d\x3c\xb2\xa1', '\xa1\xb2\x3c\x4d', '\xa1\xb2\xcd\x34', '\x34\xcd\xb2\xa1'];
const NETCDF = ['CDF\x01', 'CDF\x02', 'CDF\x05', '\x0e\x03\x13\x01', ...HDF5];
const SQLITE = ['SQLite format 3\0'];

const SIGNATURES: Readonly<Record<string, readonly Signature[]>> = {
  'image/jpeg': ['\xff\xd8\xff'],
  'image/png': ['\x89PNG\r\n\x1a\n'],
  'image/gif': ['GIF87a', 'GIF89a'],
  'image/webp': ['RIFF????WEBP'],
  'image/jxl': ['\xff\x0a', '\0\0\0\x0cJXL \r\n\x87\n'],
  'image/jp2': [JPEG_2000, '\xff\x4f\xff\x51'],
  'image/jxr': ['II\xbc\x01', 'II\xbc\0'],
  'image/tiff': TIFF,
  'image/vnd.adobe.photoshop': ['8BPS\0\x01', '8BPS\0\x02'],
  'image/x-xcf': ['gimp xcf '],
  'image/x-exr': ['\x76\x2f\x31\x01'],
  // Headers of Analyze, NIfTI and ENVI images have the same extension.
  'image/vnd.radiance': ['#?RADIANCE', '#?RGBE', '\x5c\x01\0\0', '\0\0\x01\x5c', 'ENVI'],
  'image/x-dpx': ['SDPX', 'XPDS'],
  'image/x-cineon': ['\x80\x2a\x5f\xd7', '\xd7\x5f\x2a\x80'],
  'image/x-adobe-dng': TIFF,
  'image/x-canon-cr2': TIFF,
  'image/x-canon-crw': ['II\x1a\0\0\0HEAPCCDR', 'MM\0\0\0\x1aHEAPCCDR'],
  'image/x-nikon-nef': TIFF,
  'image/x-sony-arw': TIFF,
  'image/x-olympus-orf': ['IIRO', 'IIRS', 'MMOR', ...TIFF],
  'image/x-panasonic-rw2': ['IIU\0', ...TIFF],
  'image/x-fujifilm-raf': ['FUJIFILMCCD-RAW'],
  'image/x-pentax-pef': TIFF,
  'image/x-samsung-srw': TIFF,
  'image/x-hasselblad-3fr': TIFF,
  'image/x-phaseone-iiq': [...TIFF, 'IIII', 'MMMM'],
  'image/x-leaf-mos': TIFF,
  'image/x-mamiya-mef': TIFF,
  'image/x-epson-erf': TIFF,
  'image/x-kodak-dcr': TIFF,
  'image/x-minolta-mrw': ['\0MRM', '\0MRI'],
  'image/x-sigma-x3f': ['FOVb'],
  'image/x-arri-ari': ['ARRI', 'IRRA'],
  // PS3.10 leaves the first 128 bytes free; some programs omit them, and begin with the first group.
  'application/dicom': [[128, 'DICM'], '\x02\0?\0U', '\x02\0?\0O', '\x08\0\0\0', '\x08\0\x05\0', '\x08\0\x08\0', '\x08\0\x16\0'],

  // Also the bare MPEG-4 stream; the detector recognizes boxes.
  'video/x-m4v': ['\0\0\x01\xb0'],
  'video/matroska': [EBML],
  'video/webm': [EBML],
  'audio/matroska': [EBML],
  'audio/webm': [EBML],
  'video/vnd.avi': ['RIFF????AVI '],
  // Program and elementary streams, packets of a stream that was cut, and the wrapper of a Video CD.
  'video/mpeg': ['\0\0\x01\xba', '\0\0\x01\xb3', '\0\0\x01\xe0', '\0\0\x01\xc0', '\0\0\x01\xbb', 'RIFF????CDXA'],
  'video/x-ms-wmv': [ASF],
  'video/x-ms-asf': [ASF],
  'audio/x-ms-wma': [ASF],
  'video/x-flv': ['FLV\x01'],
  'video/ogg': ['OggS'],
  'audio/ogg': ['OggS'],
  'application/gxf': ['\0\0\0\0\x01\xbc'],
  'video/x-red-r3d': [
    [4, 'RED1'],
    [4, 'RED2'],
  ],
  'video/x-dv': ['\x1f\x07\0'],
  'video/h264': ['\0\0\0\x01', '\0\0\x01'],
  'video/h265': ['\0\0\0\x01', '\0\0\x01'],
  'video/x-ivf': ['DKIF\0\0'],
  'video/x-yuv4mpeg': ['YUV4MPEG2 '],
  'video/x-phantom-cine': ['CI\x2c\0'],
  'video/x-wtv': ['\xb7\xd8\x00\x20\x37\x49\xda\x11'],
  'application/vnd.rn-realmedia': ['.RMF', '.ra\xfd'],

  'audio/mpeg': ['APETAGEX', 'RIFF????RMP3'],
  // The last one: speech corpora use the extension .wav, too.
  'audio/wav': ['RIFF????WAVE', 'RF64????WAVE', 'BW64????WAVE', 'RIFX????WAVE', 'NIST_1A\n'],
  'audio/flac': ['fLaC'],
  'audio/aac': ['ADIF'],
  'audio/aiff': ['FORM????AIFF', 'FORM????AIFC'],
  'audio/amr': ['#!AMR\n', '#!AMR-WB', '#!AMR_MC', '#!AMRWB'],
  'audio/x-caf': ['caff'],
  'audio/ac3': ['\x0b\x77', '\x77\x0b'],
  'audio/eac3': ['\x0b\x77', '\x77\x0b'],
  'audio/vnd.dts': ['\x7f\xfe\x80\x01', '\xfe\x7f\x01\x80', '\x1f\xff\xe8\0', '\xff\x1f\0\xe8', '\x64\x58\x20\x25', 'DTSHDHDR'],
  'audio/vnd.dolby.mlp': [
    [4, '\xf8\x72\x6f\xba'],
    [4, '\xf8\x72\x6f\xbb'],
  ],
  'audio/x-w64': ['riff\x2e\x91\xcf\x11'],
  'audio/basic': ['.snd'],
  'audio/midi': ['MThd', 'RIFF????RMID'],
  'audio/x-ape': ['MAC '],
  'audio/x-wavpack': ['wvpk'],
  'audio/x-tta': ['TTA1', 'TTA2'],
  'audio/x-musepack': ['MP+', 'MPCK'],
  'audio/x-dsf': ['DSD '],
  'audio/x-dff': ['FRM8????????DSD '],

  'application/x-7z-compressed': ['7z\xbc\xaf\x27\x1c'],
  'application/x-tar': [[257, 'ustar']],
  'application/gzip': ['\x1f\x8b\x08'],
  'application/zstd': ['\x28\xb5\x2f\xfd'],
  'application/pdf': ['%PDF-'],

  'application/x-nifti': [
    [344, 'n+1\0'],
    [344, 'ni1\0'],
    [4, 'n+2\0\r\n\x1a\n'],
    [4, 'ni2\0\r\n\x1a\n'],
  ],
  'application/x-nrrd': ['NRRD000'],
  'application/x-metaimage': ['ObjectType', 'NDims', 'Comment', 'TransformType', 'Name'],
  'application/x-minc': NETCDF,
  'application/x-mgh': ['\0\0\0\x01\0\0'],
  'application/x-mrtrix': ['mrtrix image', 'mrtrix tracks'],
  'application/x-trackvis': ['TRACK\0'],
  'application/x-edf': ['0       ', '\xffBIOSEMI'],
  'model/ply': ['ply\n', 'ply\r'],
  'model/gltf-binary': ['glTF\x01\0\0\0', 'glTF\x02\0\0\0'],
  'model/fbx': ['Kaydara FBX Binary  \0', '; FBX'],
  'model/x-3ds': ['MM????\x02\0', 'MM????\x3d\x3d'],
  'model/x-3dm': ['3D Geometry File Format '],
  'application/vnd.las': ['LASF'],
  'application/x-e57': ['ASTM-E57'],
  'application/x-pcd': ['# .PCD', 'VERSION'],
  'image/x-czi': ['ZISRAWFILE'],
  'image/x-nd2': ['\xda\xce\xbe\x0a', JPEG_2000],
  'image/x-lif': ['\x70\0\0\0????\x2a'],
  'image/x-mrc': [[208, 'MAP']],
  'image/x-dm': ['\0\0\0\x03', '\0\0\0\x04'],

  'application/vnd.apache.parquet': ['PAR1', 'PARE'],
  'application/vnd.apache.arrow.file': ['ARROW1', 'FEA1'],
  'application/avro': ['Obj\x01'],
  'application/x-orc': ['ORC'],
  'application/x-hdf5': HDF5,
  'application/x-hdf': ['\x0e\x03\x13\x01', ...HDF5],
  // Two different formats are called CDF.
  'application/x-netcdf': [...NETCDF, '\xcd\xf3\0\x01', '\xcd\xf2\x60\x02', '\0\0\xff\xff'],
  'application/x-matlab-data': ['MATLAB ', [126, 'IM'], [126, 'MI'], ...HDF5],
  'application/x-npy': ['\x93NUMPY'],
  'application/fits': ['SIMPLE  ='],
  'application/x-sqlite3': SQLITE,
  'application/geopackage+sqlite3': SQLITE,
  'application/x-duckdb': [[8, 'DUCK']],
  'application/vnd.shp': ['\0\0\x27\x0a'],
  'application/vnd.shx': ['\0\0\x27\x0a'],
  'application/x-shape-index': ['\0\0\x27\x0a', 'SQT'],
  'application/x-flatgeobuf': ['fgb?fgb'],
  'application/vnd.pmtiles': ['PMTiles', 'PM\x01\0', 'PM\x02\0'],
  'application/x-osm-pbf': [[4, '\x0a\x09OSMHeader']],
  'application/x-grib': ['GRIB'],
  'application/x-bufr': ['BUFR'],
  'application/vnd.tcpdump.pcap': [...PCAP, '\x0a\x0d\x0d\x0a'],
  'application/x-spss-sav': ['$FL2', '$FL3'],
  'application/x-stata-dta': [
    '<stata_dta>',
    ...['\x66', '\x67', '\x68', '\x69', '\x6c', '\x6e', '\x6f', '\x71', '\x72', '\x73'].flatMap((v) => [
      `${v}\x01\x01\0`,
      `${v}\x02\x01\0`,
    ]),
  ],
  'application/x-sas-data': [[12, '\xc2\xea\x81\x60']],
  'application/x-sas-xport': ['HEADER RECORD'],
  'application/x-root': ['root\0'],
  'application/x-tdms': ['TDSm', 'TDSh'],
  'application/x-asam-mdf': ['MDF     ', 'UnFinMF '],
  'application/vnd.isac.fcs': ['FCS2.0', 'FCS3.', 'FCS4.'],
  'application/x-bam': ['\x1f\x8b\x08\x04????????BC'],
  'application/x-cram': ['CRAM'],
  'application/x-safetensors': [[8, '{"']],
  'application/x-gguf': ['GGUF', 'FUGG'],

  'application/x-iso9660-image': [
    [32_769, 'CD001'],
    [32_769, 'BEA01'],
  ],
  // Compressed images end with a trailer; others are the disk itself (HFS+, APFS, a partition table), or encrypted.
  'application/x-apple-diskimage': [
    [-512, 'koly'],
    'koly',
    'encrcdsa',
    [-8, 'cdsaencr'],
    [1024, 'H+\0\x04'],
    [1024, 'HX\0\x05'],
    [32, 'NXSB'],
    [512, 'EFI PART'],
    'ER\x02\0',
  ],
  'application/x-vdi': [[64, '\x7f\x10\xda\xbe']],
  'application/x-vhd': ['conectix', [-512, 'conectix'], [-511, 'conectix']],
  'application/x-vhdx': ['vhdxfile'],
  'application/x-qcow': ['QFI\xfb'],
  'application/x-wim': ['MSWIM\0\0\0', 'WLPWM\0\0\0'],
  'application/x-ewf': ['EVF\x09\x0d\x0a\xff\0', 'EVF2\x0d\x0a\x81\0', 'LVF\x09\x0d\x0a\xff\0'],
  'image/vnd.dxf': ['AutoCAD Binary DXF', '0\r', '0\n', '  0\r', '  0\n', '999\r', '999\n', '  999'],
  'application/vnd.sketchup.skp': ['\xff\xfe\xff\x0e'],
};

export interface Bytes {
  /** The first bytes. */
  readonly head: Uint8Array;
  /** Length of the whole content; null while it is unknown. */
  readonly length: number | null;
  /** Bytes [start, end) of the whole content. Missing while it is being received. */
  readonly read?: (start: number, end: number) => Promise<Uint8Array>;
}

/** Whether this type begins with these very bytes. Then no other type needs to be tested. */
export function beginsAs(type: string, head: Uint8Array): boolean {
  return signaturesOf(type).some((signature) => typeof signature === 'string' && matches(head, 0, signature));
}

/**
 * Whether content is of this type by marks further inside, or by its structure. Its beginning may then be anything, also a program.
 * Undefined when that cannot be decided before all bytes are there.
 */
export async function showsInside(type: string, { head, length, read }: Bytes): Promise<boolean | undefined> {
  if (readsAs(type, head)) return true;
  let isTold = true;
  for (const signature of signaturesOf(type)) {
    if (typeof signature === 'string') continue;
    const [at, bytes] = signature;
    if (at >= 0 && at + bytes.length <= head.length) {
      if (matches(head, at, bytes)) return true;
    } else if (length === null || read === undefined) {
      isTold &&= length !== null && at >= 0 && at + bytes.length > length;
    } else {
      const start = at < 0 ? length + at : at;
      if (start >= 0 && start + bytes.length <= length && matches(await read(start, start + bytes.length), 0, bytes)) return true;
    }
  }
  return isTold ? false : undefined;
}

/** The types that have signatures here. */
export function signedTypes(): readonly string[] {
  return Object.keys(SIGNATURES);
}

function signaturesOf(type: string): readonly Signature[] {
  return Object.hasOwn(SIGNATURES, type) ? (SIGNATURES[type] ?? []) : [];
}

function matches(bytes: Uint8Array, at: number, pattern: string): boolean {
  if (bytes.length < at + pattern.length) return false;
  for (let index = 0; index < pattern.length; index++) {
    if (pattern[index] !== '?' && pattern.charCodeAt(index) !== bytes[at + index]) return false;
  }
  return true;
}
