/** The class under both entries of the package, before a platform's defaults are added to it. */
declare module 'tus-js-client/lib/upload.js' {
  import { Upload, type UploadOptions } from 'tus-js-client';

  export default class extends Upload {
    static readonly defaultOptions: UploadOptions;
  }
}
