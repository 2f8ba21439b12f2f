"""What the HTML report is made of: what stands on the page (`view`), its drawings (`charts`, `pixels`), template and style."""
