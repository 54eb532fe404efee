import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

const backend = `http://127.0.0.1:${process.env.BACKEND_PORT ?? '8000'}`;

export default defineConfig({
  plugins: [react()],
  server: { host: '127.0.0.1', port: 5173, strictPort: true, proxy: { '/api': backend } },
  test: { environment: 'happy-dom', include: ['src/**/*.test.{ts,tsx}'], cache: false },
});
