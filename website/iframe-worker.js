// A worker for pages opened from a folder, where browsers allow none: the same script, run in a frame.
// Material would load such a script from a server elsewhere (iframe-worker), which a site without a network cannot.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inside = (this.inside = frame.contentWindow);
      inside.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inside.importScripts = (...urls) => urls.reduce((before, each) => before.then(() => run(inside, each)), Promise.resolve());
      this.ready = run(inside, url);
    }

    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
}

function run(inside, url) {
  return new Promise((done, failed) => {
    const script = inside.document.createElement("script");
    Object.assign(script, { src: url, onload: done, onerror: failed });
    inside.document.body.append(script);
  });
}
