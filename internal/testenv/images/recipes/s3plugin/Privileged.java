package org.nuvla.nuvlaops.testenv.s3;

import java.io.IOException;
import java.security.AccessController;
import java.security.PrivilegedAction;
import java.security.PrivilegedActionException;
import java.security.PrivilegedExceptionAction;

/**
 * Runs code of the AWS SDK with this plugin's own permissions. Elasticsearch up to 8.18 has a security manager,
 * which otherwise intersects them with those of the caller; later servers ignore it.
 */
@SuppressWarnings("removal")
final class Privileged {

    interface IO<T> {
        T run() throws IOException;
    }

    interface Action {
        void run() throws IOException;
    }

    private Privileged() {}

    static <T> T call(IO<T> action) throws IOException {
        try {
            return AccessController.doPrivileged((PrivilegedExceptionAction<T>) action::run);
        } catch (PrivilegedActionException e) {
            throw (IOException) e.getCause();
        }
    }

    static void run(Action action) throws IOException {
        call(() -> {
            action.run();
            return null;
        });
    }

    /** For what throws no checked exception. */
    static <T> T get(PrivilegedAction<T> action) {
        return AccessController.doPrivileged(action);
    }
}
