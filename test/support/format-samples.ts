/** The first bytes of files that real programs wrote (`make-format-samples.py`), and of formats that no available program writes. */
import samples from './format-samples.json' with { type: 'json' };

export interface FormatSample {
  name: string;
  program: string;
  content: Buffer;
}

interface StoredSample {
  program: string;
  length: number;
  head: string;
  inside?: Record<string, string>;
}

/** More than the checks read of any file, except for signatures at its end. */
const MAX_FILLED_BYTES = 2 * 1024 * 1024;

/** The stored bytes of each file, with zeros for the bytes that were not stored. */
export const FORMAT_SAMPLES: readonly FormatSample[] = Object.entries(samples as Record<string, StoredSample>).map(
  ([name, { program, length, head, inside = {} }]) => {
    const beginning = Buffer.from(head, 'base64');
    // A file without bytes further inside ends after its stored head, where its last frame is complete.
    const content = Buffer.alloc(Object.keys(inside).length > 0 ? Math.min(length, MAX_FILLED_BYTES) : beginning.length);
    beginning.copy(content);
    for (const [at, bytes] of Object.entries(inside)) Buffer.from(bytes, 'base64').copy(content, Number(at));
    return { name, program, content };
  },
);

const latin1 = (text: string) => Buffer.from(text, 'latin1');
const at = (offset: number, text: string) => Buffer.concat([Buffer.alloc(offset), latin1(text), Buffer.alloc(64)]);

/** Two triangles after 80 bytes of any content. */
export function binaryStl(note = 'made by a scanner'): Buffer {
  const bytes = Buffer.alloc(84 + 2 * 50);
  bytes.write(note, 'latin1');
  bytes.writeUInt32LE(2, 80);
  for (let triangle = 0; triangle < 2; triangle++) {
    for (let number = 0; number < 12; number++) bytes.writeFloatLE(number * 1.5 - 3, 84 + triangle * 50 + number * 4);
  }
  return bytes;
}

/** By their specifications: formats that no available free program writes. */
export const SPECIFIED: readonly [name: string, content: Buffer][] = [
  ['film.r3d', latin1('\0\0\x01\0RED2\0\0\0\0')],
  ['film.braw', latin1('\0\0\0\x08wide\0\0\x10\0mdat\0\0\0\0')],
  ['film.crm', latin1('\0\0\0\x18ftypcrx \0\0\0\x01crx isom')],
  ['film.insv', latin1('\0\0\0\x18ftypavc1\0\0\0\0avc1isom')],
  ['film.360', latin1('\0\0\0\x14ftypmp41\x20\x13\x10\x18mp41')],
  ['film.cine', latin1('CI\x2c\0\0\0\x01\0')],
  ['segment.mp4', latin1('\0\0\0\x18stypmsdh\0\0\0\0msdhmsix')],
  ['photo.hif', latin1('\0\0\0\x1cftypheix\0\0\0\0mif1heixmiaf')],
  ['photo.heifs', latin1('\0\0\0\x18ftypmsf1\0\0\0\0msf1hevc')],
  ['photo.heic', latin1('\0\0\0\x18ftypmif2\0\0\0\0mif1heic')],
  ['coded.heif', latin1('\0\0\0\x18ftypavci\0\0\0\0mif1avci')],
  ['photo.insp', latin1('\xff\xd8\xff\xe1\0\x10Exif\0\0')],
  ['photo.cr3', latin1('\0\0\0\x18ftypcrx \0\0\0\x01crx isom')],
  ['photo.crw', latin1('II\x1a\0\0\0HEAPCCDR\x02\0\x01\0')],
  ['photo.rw2', latin1('IIU\0\x18\0\0\0\0\0\0\0')],
  ['photo.rwl', latin1('IIU\0\x08\0\0\0\0\0\0\0')],
  ['photo.orf', latin1('IIRS\x08\0\0\0')],
  ['photo.mrw', latin1('\0MRM\0\0\xa6\xf0')],
  ['photo.x3f', latin1('FOVb\x03\0\x02\0')],
  ['photo.raf', latin1('FUJIFILMCCD-RAW 0201FF389501')],
  ['photo.iiq', latin1('IIII\x08\0\0\0')],
  ['photo.pef', latin1('MM\0*\0\0\0\x08')],
  ['photo.srw', latin1('II*\0\x08\0\0\0')],
  ['photo.3fr', latin1('MM\0*\0\0\0\x08')],
  ['frame.ari', latin1('ARRI\x12\x34\x56\x78')],
  ['photo.jxr', latin1('II\xbc\x01\x20\0\0\0')],
  ['photo.jph', latin1('\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjph \0\0\0\0jph ')],
  ['first.png', latin1('\x89PNG\r\n\x1a\n\0\0\0\x04CgBI\x50\0\x20\x02')],
  ['sound.dts', latin1('\x7f\xfe\x80\x01\xfc\x3c\x3f\xf0')],
  ['sound.ape', latin1('MAC \x96\x0f\0\0')],
  ['sound.mpc', latin1('MPCKSH\x0f')],
  ['sound.dsf', latin1('DSD \x1c\0\0\0\0\0\0\0')],
  ['sound.dff', latin1('FRM8\0\0\0\0\0\0\x10\0DSD FVER')],
  ['sound.mid', latin1('MThd\0\0\0\x06\0\x01\0\x02')],
  ['sound.amr', latin1('#!AMR\n\x3c\x91\x17')],
  ['sound.awb', latin1('#!AMR-WB\n\x04')],
  ['adif.aac', latin1('ADIF\0\x20\x80\0\0')],
  ['wrapped.mp3', latin1('RIFF\0\0\x10\0RMP3data')],
  ['tagged.mp3', latin1('APETAGEX\xd0\x07\0\0')],
  ['sound.bwf', latin1('BW64\xff\xff\xff\xffWAVEds64')],
  ['header.nii', at(344, 'ni1\0')],
  ['head.nrrd', latin1('NRRD0004\ntype: float\n')],
  ['head.mha', latin1('ObjectType = Image\nNDims = 3\n')],
  ['eeg.edf', latin1('0       X X X X')],
  ['eeg.bdf', latin1('\xffBIOSEMIsubject')],
  ['brain.mif', latin1('mrtrix image\ndim: 1,2\n')],
  ['part.stl', binaryStl()],
  ['part.stl', latin1('solid part\n facet normal 0 0 1\n')],
  ['part.ply', latin1('ply\nformat binary_little_endian 1.0\n')],
  ['part.obj', latin1('# a cube\nv 0 0 0\nf 1 2 3\n')],
  ['part.step', latin1("ISO-10303-21;\nHEADER;\nFILE_NAME('','',(''));\n")],
  ['part.igs', latin1(`${' '.repeat(72)}S      1\r\n`)],
  ['house.ifc', latin1('ISO-10303-21;\nHEADER;\nFILE_SCHEMA((\x27IFC4\x27));\n')],
  ['part.gltf', latin1('{"asset":{"version":"2.0"}}')],
  ['part.glb', latin1('glTF\x02\0\0\0\x10\0\0\0')],
  ['part.fbx', latin1('Kaydara FBX Binary  \0\x1a\0')],
  ['part.3ds', latin1('MM\x20\0\0\0\x02\0\x0a\0\0\0')],
  ['part.3dm', latin1('3D Geometry File Format        4')],
  ['cloud.las', latin1('LASF\0\0\0\0')],
  ['cloud.laz', latin1('LASF\0\0\x10\0')],
  ['cloud.e57', latin1('ASTM-E57\x01\0\0\0')],
  ['cloud.pcd', latin1('# .PCD v0.7 - Point Cloud Data file format\nDATA binary\n\0\x01')],
  ['cloud.xyz', latin1('1.0 2.0 3.0\n')],
  ['cells.czi', latin1('ZISRAWFILE\0\0\0\0\0\0')],
  ['cells.nd2', latin1('\xda\xce\xbe\x0a\x20\0\0\0')],
  ['old.nd2', latin1('\0\0\0\x0cjP  \r\n\x87\n')],
  ['cells.lif', latin1('\x70\0\0\0\x10\0\0\0\x2a\x08')],
  ['cells.ndpi', latin1('II*\0\x0c\0\0\0')],
  ['cells.mrc', at(208, 'MAP ')],
  ['cells.dm3', latin1('\0\0\0\x03\0\0\x10\0')],
  ['rows.parquet', latin1('PAR1\x15\x04\x15')],
  ['rows.arrow', latin1('ARROW1\0\0\xff\xff\xff\xff')],
  ['rows.feather', latin1('FEA1\0\0\0\0')],
  ['rows.orc', latin1('ORC\x11\0\0')],
  ['rows.avro', latin1('Obj\x01\x04\x16avro.schema')],
  ['rows.duckdb', at(8, 'DUCK')],
  ['rows.sav', latin1('$FL2@(#) SPSS DATA FILE')],
  ['rows.dta', latin1('<stata_dta><header><release>118')],
  ['old.dta', latin1('\x72\x02\x01\0\x01\0')],
  ['rows.sas7bdat', latin1('\0\0\0\0\0\0\0\0\0\0\0\0\xc2\xea\x81\x60\xb3\x14\x11\xcf')],
  ['rows.xpt', latin1('HEADER RECORD*******LIBRARY HEADER RECORD!!!!!!!')],
  ['space.cdf', latin1('\xcd\xf3\0\x01\0\0\xff\xff')],
  ['bulletin.grib', latin1('\x01\r\r\n123\r\r\nHTXX10 ECMF 010000\r\r\nGRIB\0\0\0\x01')],
  ['report.bufr', latin1('BUFR\0\0\x60\x04')],
  ['map.osm.pbf', latin1('\0\0\0\x0d\x0a\x09OSMHeader\x18')],
  ['map.pmtiles', latin1('PMTiles\x03')],
  ['net.pcap', latin1('\xd4\xc3\xb2\xa1\x02\0\x04\0')],
  ['nano.pcap', latin1('\x4d\x3c\xb2\xa1\x02\0\x04\0')],
  ['net.pcapng', latin1('\x0a\x0d\x0d\x0a\x1c\0\0\0')],
  ['runs.root', latin1('root\0\0\xf6\x98')],
  ['bench.tdms', latin1('TDSm\x0e\0\0\0')],
  ['car.mf4', latin1('MDF     4.10    ')],
  ['cells.fcs', latin1('FCS3.1    ')],
  ['reads.bam', latin1('\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0')],
  ['reads.cram', latin1('CRAM\x03\0')],
  ['reads.fastq', latin1('@read\nACGT\n+\nIIII\n')],
  ['model.safetensors', latin1('\x40\0\0\0\0\0\0\0{"a":{"dtype":"F32"}}')],
  ['model.gguf', latin1('GGUF\x03\0\0\0')],
  ['disk.dmg', Buffer.concat([Buffer.alloc(5000, 0x55), latin1('koly\0\0\0\x04'), Buffer.alloc(504)])],
  ['secret.dmg', latin1('encrcdsa\0\0\0\x02')],
  ['disk.wim', latin1('MSWIM\0\0\0\xd0\0\0\0')],
  ['disk.e01', latin1('EVF\x09\r\n\xff\0\x01')],
];
