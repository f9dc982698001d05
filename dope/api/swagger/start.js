// Opens the API page on our own description; asks nothing of any other host.
window.onload = () => {
  SwaggerUIBundle({ url: "/openapi.json", dom_id: "#swagger", validatorUrl: null, deepLinking: true, tryItOutEnabled: true });
};
