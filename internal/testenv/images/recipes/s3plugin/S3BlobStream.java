package org.nuvla.nuvlaops.testenv.s3;

import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.NoSuchFileException;

import software.amazon.awssdk.core.ResponseInputStream;
import software.amazon.awssdk.services.s3.model.GetObjectResponse;

/** Reads an object; a connection that is lost on the way is opened again where it broke off. */
final class S3BlobStream extends InputStream {

    interface Opener {
        Body open(String name, long position, long length) throws IOException;
    }

    /** One response, read and closed with our own permissions. */
    record Body(ResponseInputStream<GetObjectResponse> in) {
        long size() {
            return in.response().contentLength();
        }

        int read(byte[] into, int offset, int length) throws IOException {
            return Privileged.call(() -> in.read(into, offset, length));
        }

        /** Drops the connection instead of reading the rest, unless all was read. */
        void close(boolean atEnd) throws IOException {
            Privileged.run(() -> {
                if (atEnd) {
                    in.close();
                } else {
                    in.abort();
                }
            });
        }
    }

    private final Opener opener;
    private final String name;
    private final long start;
    private final long length;
    private final long size;
    private int retries;
    private long done;
    private boolean atEnd;
    private Body body;

    S3BlobStream(Opener opener, String name, long start, long length, int retries) throws IOException {
        this.opener = opener;
        this.name = name;
        this.start = start;
        this.length = length;
        this.retries = retries;
        this.body = opener.open(name, start, length);
        this.size = body.size();
    }

    @Override
    public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] into, int offset, int wanted) throws IOException {
        if (wanted == 0) {
            return 0;
        }
        while (true) {
            try {
                int n = body.read(into, offset, wanted);
                atEnd = n < 0;
                if (atEnd && done < size) { // the HTTP client takes a lost connection for the end
                    throw new EOFException("connection lost after " + done + " of " + size + " bytes");
                }
                done += Math.max(n, 0);
                return n;
            } catch (IOException e) {
                reopen(e);
            }
        }
    }

    private void reopen(IOException lost) throws IOException {
        if (retries-- <= 0) {
            throw lost;
        }
        body.close(false);
        try {
            body = opener.open(name, start + done, length == Long.MAX_VALUE ? length : length - done);
        } catch (NoSuchFileException e) {
            e.addSuppressed(lost);
            throw e;
        }
    }

    @Override
    public void close() throws IOException {
        body.close(atEnd);
    }
}
