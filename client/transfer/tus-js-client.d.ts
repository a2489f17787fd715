/** The class behind both entries of the package, without the defaults of a platform. */
declare module 'tus-js-client/lib/upload.js' {
  import { Upload, type UploadOptions } from 'tus-js-client';

  export default class extends Upload {
    static readonly defaultOptions: UploadOptions;
  }
}
