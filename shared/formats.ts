/** The file formats Landfall can tell by their content: extension → media type, in the groups a policy names. */

/** So many of a file's first bytes are looked at: enough for nearly every signature that file-type knows. */
export const HEAD_BYTES = 4100;

export const GROUPS = {
  images: {
    jpg: 'image/jpeg',
    jpeg: 'image/jpeg',
    jpe: 'image/jpeg',
    jfif: 'image/jpeg',
    png: 'image/png',
    gif: 'image/gif',
    webp: 'image/webp',
    avif: 'image/avif',
    heic: 'image/heic',
    heif: 'image/heif',
    jxl: 'image/jxl',
    jp2: 'image/jp2',
    tif: 'image/tiff',
    tiff: 'image/tiff',
    bmp: 'image/bmp',
    psd: 'image/vnd.adobe.photoshop',
    psb: 'image/vnd.adobe.photoshop',
    dng: 'image/x-adobe-dng',
    cr2: 'image/x-canon-cr2',
    cr3: 'image/x-canon-cr3',
    nef: 'image/x-nikon-nef',
    arw: 'image/x-sony-arw',
    orf: 'image/x-olympus-orf',
    rw2: 'image/x-panasonic-rw2',
    raf: 'image/x-fujifilm-raf',
    dcm: 'application/dicom',
  },
  documents: {
    pdf: 'application/pdf',
    doc: 'application/msword',
    docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
    xls: 'application/vnd.ms-excel',
    xlsx: 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
    ppt: 'application/vnd.ms-powerpoint',
    pptx: 'application/vnd.openxmlformats-officedocument.presentationml.presentation',
    odt: 'application/vnd.oasis.opendocument.text',
    ods: 'application/vnd.oasis.opendocument.spreadsheet',
    odp: 'application/vnd.oasis.opendocument.presentation',
    odg: 'application/vnd.oasis.opendocument.graphics',
    pages: 'application/vnd.apple.pages',
    numbers: 'application/vnd.apple.numbers',
    key: 'application/vnd.apple.keynote',
    rtf: 'application/rtf',
    epub: 'application/epub+zip',
  },
  video: {
    mp4: 'video/mp4',
    m4v: 'video/x-m4v',
    mov: 'video/quicktime',
    mkv: 'video/matroska',
    webm: 'video/webm',
    avi: 'video/vnd.avi',
    mpg: 'video/mpeg',
    mpeg: 'video/mpeg',
    vob: 'video/mpeg',
    ts: 'video/mp2t',
    mts: 'video/mp2t',
    m2ts: 'video/mp2t',
    wmv: 'video/x-ms-wmv',
    asf: 'video/x-ms-asf',
    flv: 'video/x-flv',
    ogv: 'video/ogg',
    '3gp': 'video/3gpp',
    '3g2': 'video/3gpp2',
    mxf: 'application/mxf',
  },
  audio: {
    mp3: 'audio/mpeg',
    wav: 'audio/wav',
    flac: 'audio/flac',
    ogg: 'audio/ogg',
    oga: 'audio/ogg',
    opus: 'audio/ogg',
    m4a: 'audio/mp4',
    m4b: 'audio/mp4',
    aac: 'audio/aac',
    aif: 'audio/aiff',
    aiff: 'audio/aiff',
    wma: 'audio/x-ms-wma',
    amr: 'audio/amr',
    caf: 'audio/x-caf',
  },
  archives: {
    zip: 'application/zip',
    '7z': 'application/x-7z-compressed',
    rar: 'application/vnd.rar',
    tar: 'application/x-tar',
    gz: 'application/gzip',
    tgz: 'application/gzip',
    bz2: 'application/x-bzip2',
    tbz2: 'application/x-bzip2',
    xz: 'application/x-xz',
    txz: 'application/x-xz',
    zst: 'application/zstd',
    lz4: 'application/x-lz4',
  },
  text: {
    txt: 'text/plain',
    log: 'text/plain',
    csv: 'text/csv',
    tsv: 'text/tab-separated-values',
    md: 'text/markdown',
    markdown: 'text/markdown',
    rst: 'text/plain',
    tex: 'text/plain',
    json: 'application/json',
    jsonl: 'application/x-ndjson',
    ndjson: 'application/x-ndjson',
    geojson: 'application/geo+json',
    yaml: 'application/yaml',
    yml: 'application/yaml',
    toml: 'application/toml',
    ini: 'text/plain',
    srt: 'text/plain',
    vtt: 'text/vtt',
  },
} as const;

export type GroupName = keyof typeof GROUPS;

/** In no group: taken only where an operator lists them one by one. Many of these can run code. */
export const SINGLE_FORMATS: Readonly<Record<string, string>> = {
  svg: 'image/svg+xml',
  html: 'text/html',
  htm: 'text/html',
  xhtml: 'application/xhtml+xml',
  xml: 'application/xml',
  js: 'text/javascript',
  css: 'text/css',
  php: 'text/x-php',
  py: 'text/x-python',
  sh: 'text/x-shellscript',
  sql: 'application/sql',
  ics: 'text/calendar',
  vcf: 'text/vcard',
  eps: 'application/eps',
  ps: 'application/postscript',
  docm: 'application/vnd.ms-word.document.macroenabled.12',
  xlsm: 'application/vnd.ms-excel.sheet.macroenabled.12',
  pptm: 'application/vnd.ms-powerpoint.presentation.macroenabled.12',
  msg: 'application/vnd.ms-outlook',
  exe: 'application/x-msdownload',
  dll: 'application/x-msdownload',
  msi: 'application/x-msi',
  elf: 'application/x-elf',
  jar: 'application/java-archive',
  apk: 'application/vnd.android.package-archive',
  deb: 'application/x-deb',
  rpm: 'application/x-rpm',
  wasm: 'application/wasm',
  sqlite: 'application/x-sqlite3',
  db: 'application/x-sqlite3',
  parquet: 'application/vnd.apache.parquet',
  avro: 'application/avro',
  arrow: 'application/vnd.apache.arrow.file',
  h5: 'application/x-hdf5',
  hdf5: 'application/x-hdf5',
  pcap: 'application/vnd.tcpdump.pcap',
  dwg: 'image/vnd.dwg',
  glb: 'model/gltf-binary',
  blend: 'application/x-blender',
  ico: 'image/x-icon',
  ttf: 'font/ttf',
  otf: 'font/otf',
  woff: 'font/woff',
  woff2: 'font/woff2',
  mobi: 'application/x-mobipocket-ebook',
  cab: 'application/vnd.ms-cab-compressed',
  lz: 'application/lzip',
};

/** Any content that is not recognised as something that runs. */
export const UNKNOWN_TYPE = 'application/octet-stream';

/** Other names that media types go by, and the one used here. */
const TYPE_ALIASES: Readonly<Record<string, string>> = {
  'image/jpg': 'image/jpeg',
  'image/pjpeg': 'image/jpeg',
  'image/x-ms-bmp': 'image/bmp',
  'image/svg': 'image/svg+xml',
  'image/vnd.microsoft.icon': 'image/x-icon',
  'audio/mp3': 'audio/mpeg',
  'audio/x-wav': 'audio/wav',
  'audio/vnd.wave': 'audio/wav',
  'audio/x-flac': 'audio/flac',
  'audio/x-aiff': 'audio/aiff',
  'audio/x-m4a': 'audio/mp4',
  'audio/m4a': 'audio/mp4',
  'audio/opus': 'audio/ogg',
  'audio/x-aac': 'audio/aac',
  'video/x-matroska': 'video/matroska',
  'video/x-msvideo': 'video/vnd.avi',
  'video/avi': 'video/vnd.avi',
  'application/x-rar-compressed': 'application/vnd.rar',
  'application/x-rar': 'application/vnd.rar',
  'application/x-zip-compressed': 'application/zip',
  'application/x-gzip': 'application/gzip',
  'application/x-zstd': 'application/zstd',
  'application/bzip2': 'application/x-bzip2',
  'application/vnd.ms-asf': 'video/x-ms-asf',
  'audio/x-ms-asf': 'audio/x-ms-wma',
  'application/javascript': 'text/javascript',
  'application/x-sh': 'text/x-shellscript',
  'application/x-php': 'text/x-php',
  'application/x-httpd-php': 'text/x-php',
  'application/x-yaml': 'application/yaml',
  'text/yaml': 'application/yaml',
  'text/xml': 'application/xml',
  'text/rtf': 'application/rtf',
  'text/x-markdown': 'text/markdown',
  'application/x-dosexec': 'application/x-msdownload',
  'application/vnd.microsoft.portable-executable': 'application/x-msdownload',
  'application/vnd.sqlite3': 'application/x-sqlite3',
};

/** Lower case, without parameters, under the one name used here. */
export function canonicalType(type: string): string {
  const bare = (type.split(';', 1)[0] ?? '').trim().toLowerCase();
  return Object.hasOwn(TYPE_ALIASES, bare) ? (TYPE_ALIASES[bare] ?? bare) : bare;
}

/** The media type an extension stands for, whether or not a policy allows it. */
export function knownType(extension: string): string | undefined {
  for (const formats of Object.values<Readonly<Record<string, string>>>(GROUPS)) {
    if (Object.hasOwn(formats, extension)) return formats[extension];
  }
  return Object.hasOwn(SINGLE_FORMATS, extension) ? SINGLE_FORMATS[extension] : undefined;
}

const TEXT_TYPES = new Set([
  'application/json',
  'application/x-ndjson',
  'application/yaml',
  'application/toml',
  'application/xml',
  'application/sql',
]);

/** Types whose content is text and is checked as text, whatever it says. */
export function isTextType(type: string): boolean {
  return type.startsWith('text/') || TEXT_TYPES.has(type) || type.endsWith('+xml') || type.endsWith('+json');
}

/** Whether content can be held against this type: by its signature, or as text. */
export function isRecognisable(type: string): boolean {
  if (type === UNKNOWN_TYPE || isTextType(type)) return true;
  if (Object.values(SINGLE_FORMATS).includes(type)) return true;
  return Object.values<Readonly<Record<string, string>>>(GROUPS).some((formats) => Object.values(formats).includes(type));
}
