function headToHeadView(root) { root.textContent = "duel"; }
