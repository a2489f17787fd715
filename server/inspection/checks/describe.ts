/** Names for content, in sentences for the sender. */
import { canonicalType, isTextType } from '../../../shared/formats.ts';
import type { Detection } from '../detector.ts';

const NOUNS: Readonly<Record<string, string>> = {
  'image/jpeg': 'a JPEG image',
  'image/png': 'a PNG image',
  'image/apng': 'a PNG image',
  'image/gif': 'a GIF image',
  'image/webp': 'a WebP image',
  'image/avif': 'an AVIF image',
  'image/heic': 'a HEIC image',
  'image/heif': 'a HEIF image',
  'image/tiff': 'a TIFF image',
  'image/bmp': 'a BMP image',
  'image/svg+xml': 'an SVG drawing',
  'image/vnd.adobe.photoshop': 'a Photoshop image',
  'image/x-icon': 'an icon',
  'application/dicom': 'a DICOM image',
  'application/pdf': 'a PDF document',
  'application/rtf': 'an RTF document',
  'application/msword': 'a Word 97–2003 document',
  'application/vnd.ms-excel': 'an Excel 97–2003 workbook',
  'application/vnd.ms-powerpoint': 'a PowerPoint 97–2003 presentation',
  'application/vnd.ms-outlook': 'an Outlook message',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': 'a Word document',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet': 'an Excel workbook',
  'application/vnd.openxmlformats-officedocument.presentationml.presentation': 'a PowerPoint presentation',
  'application/vnd.openxmlformats-officedocument.wordprocessingml.template': 'a Word template',
  'application/vnd.openxmlformats-officedocument.spreadsheetml.template': 'an Excel template',
  'application/vnd.openxmlformats-officedocument.presentationml.slideshow': 'a PowerPoint show',
  'application/vnd.openxmlformats-officedocument.presentationml.template': 'a PowerPoint template',
  'application/vnd.ms-word.document.macroenabled.12': 'a Word document with macros',
  'application/vnd.ms-excel.sheet.macroenabled.12': 'an Excel workbook with macros',
  'application/vnd.ms-excel.sheet.binary.macroenabled.12': 'a binary Excel workbook',
  'application/vnd.ms-powerpoint.presentation.macroenabled.12': 'a PowerPoint presentation with macros',
  'application/vnd.ms-word.template.macroenabled.12': 'a Word template with macros',
  'application/vnd.ms-excel.template.macroenabled.12': 'an Excel template with macros',
  'application/vnd.ms-powerpoint.slideshow.macroenabled.12': 'a PowerPoint show with macros',
  'application/vnd.ms-powerpoint.template.macroenabled.12': 'a PowerPoint template with macros',
  'application/vnd.oasis.opendocument.text': 'an OpenDocument text',
  'application/vnd.oasis.opendocument.spreadsheet': 'an OpenDocument spreadsheet',
  'application/vnd.oasis.opendocument.presentation': 'an OpenDocument presentation',
  'application/vnd.oasis.opendocument.text-template': 'an OpenDocument text template',
  'application/vnd.oasis.opendocument.spreadsheet-template': 'an OpenDocument spreadsheet template',
  'application/vnd.oasis.opendocument.presentation-template': 'an OpenDocument presentation template',
  'application/vnd.oasis.opendocument.graphics': 'an OpenDocument drawing',
  'application/vnd.oasis.opendocument.graphics-template': 'an OpenDocument drawing template',
  'application/x-cfb': 'an Office 97–2003 document',
  'application/epub+zip': 'an EPUB book',
  'video/mp4': 'an MP4 video',
  'video/x-m4v': 'an MP4 video',
  'video/quicktime': 'a QuickTime video',
  'video/matroska': 'a Matroska video',
  'video/webm': 'a WebM video',
  'video/vnd.avi': 'an AVI video',
  'video/mpeg': 'an MPEG video',
  'video/mp2t': 'an MPEG transport stream',
  'video/x-ms-wmv': 'a Windows Media video',
  'video/x-ms-asf': 'a Windows Media file',
  'audio/mpeg': 'an MP3 recording',
  'audio/wav': 'a WAV recording',
  'audio/flac': 'a FLAC recording',
  'audio/ogg': 'an Ogg recording',
  'audio/mp4': 'an MP4 recording',
  'audio/aac': 'an AAC recording',
  'audio/aiff': 'an AIFF recording',
  'application/zip': 'a ZIP archive',
  'model/3mf': 'a 3MF model',
  'model/vnd.usdz+zip': 'a USDZ model',
  'application/x-npz': 'a NumPy archive',
  'application/x-7z-compressed': 'a 7-Zip archive',
  'application/vnd.rar': 'a RAR archive',
  'application/x-tar': 'a tar archive',
  'application/gzip': 'a gzip archive',
  'application/x-bzip2': 'a bzip2 archive',
  'application/x-xz': 'an xz archive',
  'application/zstd': 'a Zstandard archive',
  'application/x-msdownload': 'a Windows program',
  'application/x-msi': 'a Windows installer',
  'application/x-elf': 'a Linux program',
  'application/x-executable': 'a Linux program',
  'application/x-mach-binary': 'a macOS program',
  'application/java-vm': 'a Java program',
  'application/java-archive': 'a Java program',
  'application/vnd.android.package-archive': 'an Android app',
  'application/wasm': 'a WebAssembly program',
  'application/x-ms-shortcut': 'a Windows shortcut',
  'application/xml': 'XML',
  'application/xhtml+xml': 'a web page',
  'text/html': 'a web page',
  'text/x-php': 'a PHP script',
  'text/x-shellscript': 'a shell script',
  'text/x-script.python': 'a Python script',
  'text/x-python': 'a Python script',
  'text/x-perl': 'a Perl script',
  'text/javascript': 'a JavaScript program',
  'text/x-msdos-batch': 'a batch file',
  'text/plain': 'plain text',
  'application/json': 'JSON text',
};

function nounOf(type: string): string | undefined {
  return Object.hasOwn(NOUNS, type) ? NOUNS[type] : undefined;
}

/** `a JPEG image`; for a type without a noun, `a .step file`. */
export function describeType(type: string, extension: string): string {
  return nounOf(type) ?? `a .${extension} file`;
}

/** `a Windows program`; undefined for unknown content. libmagic tells kinds of text apart, file-type all other kinds. */
export function describeContent(found: Detection): string | undefined {
  const magic = found.magic === undefined ? undefined : canonicalType(found.magic);
  if (magic !== undefined && (found.ext === undefined || found.ext === 'xml' || found.ext === 'cfb')) {
    const noun = nounOf(magic);
    if (noun !== undefined) return noun;
    if (isTextType(magic)) return 'text';
  }
  if (found.mime === undefined) return undefined;
  const type = canonicalType(found.mime);
  return nounOf(type) ?? `content of the type ${type}`;
}
