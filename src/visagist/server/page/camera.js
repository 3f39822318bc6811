// Takes one photograph with the camera of this machine.

export function takePhotograph() {
  const dialog = document.getElementById("camera-dialog");
  const video = document.getElementById("video");
  const status = document.getElementById("camera-status");
  const shoot = document.getElementById("shoot");
  const cancel = document.getElementById("camera-cancel");
  let stream = null;
  shoot.disabled = true;
  status.textContent = "Waiting for the camera…";
  dialog.showModal();
  return new Promise((resolve) => {
    const end = (file) => {
      for (const track of stream?.getTracks() ?? []) track.stop();
      video.srcObject = null;
      shoot.onclick = cancel.onclick = dialog.onclose = null;
      if (dialog.open) dialog.close();
      resolve(file);
    };
    cancel.onclick = () => end(null);
    dialog.onclose = () => end(null);
    shoot.onclick = () => {
      const canvas = document.createElement("canvas");
      canvas.width = video.videoWidth;
      canvas.height = video.videoHeight;
      canvas.getContext("2d").drawImage(video, 0, 0);
      canvas.toBlob((blob) => end(new File([blob], "camera.jpg", { type: "image/jpeg" })), "image/jpeg", 0.95);
    };
    if (!navigator.mediaDevices?.getUserMedia) {
      status.textContent = "This browser gives pages no camera here. Choose a photograph instead.";
      return;
    }
    navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1280 } } }).then(async (given) => {
      stream = given;
      if (!dialog.open) return end(null);
      video.srcObject = given;
      await video.play();
      status.textContent = "Look straight ahead, then take it.";
      shoot.disabled = false;
      shoot.focus();
      return undefined;
    }).catch((error) => {
      status.textContent = error.name === "NotAllowedError" ? "The camera was not allowed. Choose a photograph instead."
        : "No camera was found. Choose a photograph instead.";
    });
  });
}
