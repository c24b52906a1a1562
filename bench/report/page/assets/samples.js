function samplesView(root) { root.textContent = "samples"; }
