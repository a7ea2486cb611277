// What a log line says of a request.

// Characters of an address that a line has.
const LONGEST = 1500;

// Returns the address with other bytes than ASCII escaped. nginx escapes none of them, and they need
// not be UTF-8.
function uri(r) {
    const bytes = r.rawVariables.request_uri;
    let text = '';
    for (let i = 0; i < bytes.length; i++) {
        if (text.length >= LONGEST) {
            return text + '...';
        }
        const hex = bytes[i].toString(16).toUpperCase();
        text += bytes[i] < 0x80 ? String.fromCharCode(bytes[i]) : '%' + hex;
    }
    return text;
}

export default { uri };
