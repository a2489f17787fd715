/** The detectors' findings that prove a media type, besides its own signatures. */
import { canonicalType } from '../../../shared/formats.ts';
import type { Detection } from '../detector.ts';
import { signedTypes } from './signatures.ts';
import { structuredTypes } from './structures.ts';

const BMFF = 'mp4 m4v mov m4a m4b m4p f4v f4a f4p f4b 3gp 3g2';
const OGG = 'ogg oga ogv ogx ogm opus spx';
/** Camera formats are extended TIFF, and a plain TIFF may look like one of them. */
const TIFF = 'tif dng nef arw cr2';
/** Documents, templates and shows differ only for the program that opens them, which goes by the extension. */
const DOCX = 'docx dotx zip cfb';
const XLSX = 'xlsx xltx zip cfb';
const PPTX = 'pptx ppsx potx zip cfb';
const IWORK = 'pages numbers key zip';
const ZIP =
  'zip docx xlsx pptx docm xlsm xlsb pptm dotx xltx potx ppsx dotm xltm potm ppsm odt ods odp odg ott ots otp otg epub jar apk xpi pages numbers key 3mf vsdx';

/**
 * Media type → names that file-type gives such content. `zip` and `cfb` are containers whose directory tells the type; the archive
 * check reads it. (`cfb` for docx, xlsx, pptx: their encrypted form.)
 */
const EVIDENCE: Readonly<Record<string, string>> = {
  'image/jpeg': 'jpg',
  'image/png': 'png apng',
  'image/gif': 'gif',
  'image/webp': 'webp',
  'image/avif': 'avif',
  'image/heic': 'heic',
  'image/heif': 'heic avif heif',
  'image/jxl': 'jxl',
  'image/jp2': 'jp2 jpx jpm j2c',
  'image/tiff': TIFF,
  'image/bmp': 'bmp',
  'image/vnd.adobe.photoshop': 'psd',
  'image/x-adobe-dng': TIFF,
  'image/x-canon-cr2': TIFF,
  'image/x-canon-cr3': 'cr3',
  'image/x-nikon-nef': TIFF,
  'image/x-sony-arw': TIFF,
  'image/x-olympus-orf': 'orf',
  'image/x-panasonic-rw2': 'rw2',
  'image/x-fujifilm-raf': 'raf',
  'image/x-icon': 'ico cur',
  'image/vnd.dwg': 'dwg',
  'application/dicom': 'dcm',
  'application/pdf': 'pdf',
  'application/rtf': 'rtf',
  'application/msword': 'cfb',
  'application/vnd.ms-excel': 'cfb',
  'application/vnd.ms-powerpoint': 'cfb',
  'application/vnd.ms-outlook': 'cfb',
  'application/x-msi': 'cfb',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': DOCX,
  'application/vnd.openxmlformats-officedocument.wordprocessingml.template': DOCX,
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': XLSX,
  'application/vnd.openxmlformats-officedocument.spreadsheetml.template': XLSX,
  'application/vnd.openxmlformats-officedocument.presentationml.presentation': PPTX,
  'application/vnd.openxmlformats-officedocument.presentationml.slideshow': PPTX,
  'application/vnd.openxmlformats-officedocument.presentationml.template': PPTX,
  'application/vnd.ms-word.document.macroenabled.12': `docm dotm ${DOCX}`,
  'application/vnd.ms-word.template.macroenabled.12': `docm dotm ${DOCX}`,
  'application/vnd.ms-excel.sheet.macroenabled.12': `xlsm xltm ${XLSX}`,
  'application/vnd.ms-excel.template.macroenabled.12': `xlsm xltm ${XLSX}`,
  'application/vnd.ms-excel.sheet.binary.macroenabled.12': 'xlsb zip cfb',
  'application/vnd.ms-powerpoint.presentation.macroenabled.12': `pptm ppsm potm ${PPTX}`,
  'application/vnd.ms-powerpoint.slideshow.macroenabled.12': `pptm ppsm potm ${PPTX}`,
  'application/vnd.ms-powerpoint.template.macroenabled.12': `pptm ppsm potm ${PPTX}`,
  'application/vnd.oasis.opendocument.text': 'odt zip',
  'application/vnd.oasis.opendocument.text-template': 'ott odt zip',
  'application/vnd.oasis.opendocument.spreadsheet': 'ods zip',
  'application/vnd.oasis.opendocument.spreadsheet-template': 'ots ods zip',
  'application/vnd.oasis.opendocument.presentation': 'odp zip',
  'application/vnd.oasis.opendocument.presentation-template': 'otp odp zip',
  'application/vnd.oasis.opendocument.graphics': 'odg zip',
  'application/vnd.oasis.opendocument.graphics-template': 'otg odg zip',
  'application/vnd.apple.pages': IWORK,
  'application/vnd.apple.numbers': IWORK,
  'application/vnd.apple.keynote': IWORK,
  'application/epub+zip': 'epub zip',
  'video/mp4': BMFF,
  'video/x-m4v': BMFF,
  'video/quicktime': BMFF,
  'video/x-braw': BMFF,
  'video/x-canon-crm': 'cr3',
  'video/3gpp': BMFF,
  'video/3gpp2': BMFF,
  'audio/mp4': BMFF,
  'video/matroska': 'mkv webm',
  'video/webm': 'mkv webm',
  'video/vnd.avi': 'avi',
  'video/mpeg': 'mpg mts',
  'video/mp2t': 'mts',
  'video/x-ms-wmv': 'asf',
  'video/x-ms-asf': 'asf',
  'audio/x-ms-wma': 'asf',
  'video/x-flv': 'flv',
  'video/ogg': OGG,
  'audio/ogg': OGG,
  'application/mxf': 'mxf',
  'audio/mpeg': 'mp3 mp2 mp1 id3',
  'audio/wav': 'wav',
  'audio/flac': 'flac',
  'audio/aac': 'aac',
  'audio/aiff': 'aif',
  'audio/amr': 'amr',
  'audio/x-caf': 'caf',
  'application/zip': ZIP,
  'model/3mf': '3mf zip',
  'model/vnd.usdz+zip': 'zip',
  'application/x-npz': 'zip',
  'application/x-7z-compressed': '7z',
  'application/vnd.rar': 'rar',
  'application/x-tar': 'tar',
  'application/gzip': 'gz tar.gz',
  'application/x-bzip2': 'bz2',
  'application/x-xz': 'xz',
  'application/zstd': 'zst',
  'application/x-lz4': 'lz4',
  'application/lzip': 'lz',
  'application/eps': 'eps ps',
  'application/postscript': 'ps eps',
  'application/x-msdownload': 'exe',
  'application/x-elf': 'elf',
  'application/java-archive': 'jar zip',
  'application/vnd.android.package-archive': 'apk jar zip',
  'application/x-deb': 'deb',
  'application/x-rpm': 'rpm',
  'application/wasm': 'wasm',
  'application/x-sqlite3': 'sqlite',
  'application/vnd.apache.parquet': 'parquet',
  'application/avro': 'avro',
  'application/vnd.apache.arrow.file': 'arrow',
  'application/x-hdf5': 'hdf5',
  'application/vnd.tcpdump.pcap': 'pcap',
  'application/x-blender': 'blend',
  'application/x-mobipocket-ebook': 'mobi',
  'application/vnd.ms-cab-compressed': 'cab',
  'model/gltf-binary': 'glb',
  'font/ttf': 'ttf',
  'font/otf': 'otf',
  'font/woff': 'woff',
  'font/woff2': 'woff2',
};

const PROOFS: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries(EVIDENCE).map(([type, names]) => [type, new Set(names.split(' '))]),
);

/** Whether the detected content is of this media type, or a container that may be. */
export function proves(found: Detection, type: string): boolean {
  if (found.ext !== undefined) return PROOFS.get(type)?.has(found.ext) ?? false;
  return found.magic !== undefined && canonicalType(found.magic) === type;
}

/** The types that an operator may list, because content can be compared with them. A test compares them with the shared table. */
export function provableTypes(): readonly string[] {
  return [...new Set([...PROOFS.keys(), ...signedTypes(), ...structuredTypes()])];
}

const RUNNING_FORMATS = new Set('exe elf macho class jar apk crx xpi deb rpm swf wasm lnk chm reg'.split(' '));
const RUNNING_TEXT =
  /^(?:text\/(?:html|javascript|x-(?:php|shellscript|perl|ruby|tcl|lua|awk|msdos-batch|powershell|vbscript|script\.python|python))|application\/(?:xhtml\+xml|javascript|x-msi|x-executable|x-pie-executable|x-sharedlib|x-java-applet)|image\/svg\+xml)$/;

/** Programs, packages that install programs, scripts, and content that a browser would run. */
export function isRunning(found: Detection): boolean {
  return (found.ext !== undefined && RUNNING_FORMATS.has(found.ext)) || (found.magic !== undefined && RUNNING_TEXT.test(found.magic));
}
